/* --check-config: each statement that the sweeper sends, by EXPLAIN: names, types, grants, rules,
 * policies and published tables are judged as if it were run, and nothing is. */
#include "app/check_refusal.h"
#include "app/check_steps.h"
#include "app/context.h"
#include "app/statement_names.h"

#include "link/pg_link.h"
#include "store/statements.h"

#include <stdlib.h>

static void explain(struct check_database *c);

static void on_plan(struct check_database *c, const struct pg_result *r,
                    const struct pg_answer *answer)
{
    bool needed = c->which != STATEMENT_BLOCKERS; /* releases go on without it */
    char what[160];
    int line = statement_place(c->context->parts.statements, c->which, what, sizeof(what));
    if (r == NULL && needed)
        check_refused_at(c, line, what, answer);
    else if (r == NULL && c->clean)
        check_unknown("who holds a reservation locked", answer);
    c->which++;
    explain(c);
}

static void explain(struct check_database *c)
{
    const char *text = statement_next(c->context->parts.statements, &c->which);
    if (text == NULL) {
        if (c->clean)
            check_ok("statements: all are accepted (EXPLAIN)");
        check_next(c);
        return;
    }
    static const char *const nulls[STATEMENT_PARAMS_MAX];
    int nparams;
    char *sql = statement_explain(text, &nparams);
    check_ask(c, sql, nparams, nulls, on_plan);
    free(sql);
}

void check_statements(struct check_database *c)
{
    c->clean = true;
    explain(c);
}
