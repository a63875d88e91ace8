/* --check-config: each statement that the sweeper sends, by EXPLAIN: names, types, grants, rules,
 * policies and published tables are judged as if it were run, and nothing is. */
#include "app/check_refusal.h"
#include "app/check_steps.h"
#include "app/context.h"
#include "app/plan_grants.h"
#include "app/statement_names.h"

#include "link/pg_array.h"
#include "link/pg_link.h"
#include "store/statements.h"

#include <stdlib.h>

static void explain(struct check_database *c);

static void on_sequences(struct check_database *c, const struct pg_result *r,
                         const struct pg_answer *answer)
{
    char what[160];
    int line = statement_place(c->context->parts.statements, c->which, what, sizeof(what));
    if (r == NULL)
        check_unknown("whether sequences may be used", answer);
    for (int i = 0; r != NULL && i < pg_result_rows(r); i++) {
        const char *sequence = pg_result_text(r, i, 0);
        c->clean = false;
        check_wrong(c, line,
                    "%s takes a number from sequence %s, and the grant is missing: GRANT USAGE ON "
                    "SEQUENCE %s TO %s",
                    what, sequence, sequence, c->role);
    }
    c->which++;
    explain(c);
}

/* A plan asks for no right to the sequences from which columns get their numbers. Returns whether
 * there are any, and so a question. */
static bool ask_for_sequences(struct check_database *c, const struct pg_result *plan)
{
    static const char sql[] =
        "SELECT DISTINCT u.name FROM pg_catalog.unnest($1::pg_catalog.text[]) AS u (name) "
        "WHERE NOT pg_catalog.has_sequence_privilege(u.name, 'USAGE, UPDATE') ORDER BY 1";
    struct pg_array names = {0};
    int len;
    for (int i = 0; i < pg_result_rows(plan); i++)
        for (const char *line = pg_result_text(plan, i, 0), *name;
             (name = plan_sequence(&line, &len)) != NULL;)
            pg_array_add(&names, name, (size_t)len);
    if (names.text == NULL && !names.failed)
        return false;
    char *text = pg_array_finish(&names);
    const char *params[] = {text};
    check_ask(c, text != NULL ? sql : NULL, 1, params, on_sequences);
    free(text);
    return true;
}

static void on_plan(struct check_database *c, const struct pg_result *r,
                    const struct pg_answer *answer)
{
    bool needed = statement_is_needed(c->which); /* else releases go on without it */
    char what[160];
    int line = statement_place(c->context->parts.statements, c->which, what, sizeof(what));
    if (r == NULL && needed)
        check_refused_at(c, line, what, answer);
    else if (r == NULL && c->clean)
        check_unknown(what, answer);
    if (r != NULL && ask_for_sequences(c, r))
        return;
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
