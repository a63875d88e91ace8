/* --check-config: each statement that the sweeper sends, by EXPLAIN: names, types, grants, rules,
 * policies and published tables are judged as if it were run, and nothing is. */
#include "app/check_refusal.h"
#include "app/check_steps.h"
#include "app/context.h"
#include "app/statement_names.h"
#include "base/sql_scan.h"
#include "config/queue.h"

#include "link/pg_link.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMS_MAX 16

/* How many parameters a statement has: the highest number after a $. */
static int count_params(const char *sql)
{
    int highest = 0;
    for (struct sql_token t = sql_scan(&sql); t.kind != SQL_END; t = sql_scan(&sql)) {
        int n = t.kind == SQL_PARAMETER ? (int)strtol(t.at + 1, NULL, 10) : 0;
        highest = n > highest ? n : highest;
    }
    return highest < PARAMS_MAX ? highest : PARAMS_MAX;
}

static void explain(struct check_database *c);

/* The statements of `also` come behind the others. */
static void on_plan(struct check_database *c, const struct pg_result *r,
                    const struct pg_answer *answer)
{
    bool needed = c->which != STATEMENT_BLOCKERS; /* releases go on without it */
    if (r == NULL && c->which >= STATEMENT_COUNT) {
        char what[64];
        int i = c->which - STATEMENT_COUNT;
        snprintf(what, sizeof(what), "statement %d of `also`", i + 1);
        check_refused_at(c, c->queue->also[i].line, what, answer);
    } else if (r == NULL && !needed && c->clean) {
        check_unknown("who holds a reservation locked", answer);
    } else if (r == NULL && needed) {
        check_refused(c, statement_name((enum statement)c->which), answer);
    }
    c->which++;
    explain(c);
}

/* The next one that is ever sent; NULL: there is none. */
static const char *next_text(struct check_database *c)
{
    const struct statements *s = c->context->parts.statements;
    for (; c->which < STATEMENT_COUNT; c->which++) {
        const char *text = statements_text(s, (enum statement)c->which);
        if (statement_is_used((enum statement)c->which, statements_types(s), text))
            return text;
    }
    return c->which < STATEMENT_COUNT + c->queue->nalso
               ? statements_also(s, c->which - STATEMENT_COUNT)
               : NULL;
}

static void explain(struct check_database *c)
{
    static const char *const nulls[PARAMS_MAX];
    static const char verb[] = "EXPLAIN (COSTS OFF) ";
    const char *text = next_text(c);
    if (text == NULL) {
        if (c->clean)
            check_ok("statements: all are accepted (EXPLAIN)");
        check_next(c);
        return;
    }
    size_t size = sizeof(verb) + strlen(text);
    char *sql = malloc(size);
    if (sql != NULL)
        snprintf(sql, size, "%s%s", verb, text);
    check_ask(c, sql, count_params(text), nulls, on_plan);
    free(sql);
}

void check_statements(struct check_database *c)
{
    c->clean = true;
    explain(c);
}
