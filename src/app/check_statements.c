/* --check-config: each statement that the sweeper sends, by EXPLAIN: names, types, grants, rules,
 * policies and published tables are judged as if it were run, and nothing is. */
#include "app/check_refusal.h"
#include "app/check_steps.h"
#include "app/context.h"

#include "link/pg_link.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMS_MAX 16

static const char *const names[STATEMENT_COUNT] = {
    [STATEMENT_RELEASE_CAREFUL] = "the release",
    [STATEMENT_RELEASE_WAITING] = "the release that waits",
    [STATEMENT_RELEASE_BULK] = "the release of a backlog",
    [STATEMENT_RELEASE_BACKLOG] = "the release of a backlog by places",
    [STATEMENT_RELEASE_CHECK] = "the check of a release",
    [STATEMENT_PRODUCTS] = "the question for the products of reservations",
    [STATEMENT_DUE_ROWS] = "the feed's poll",
    [STATEMENT_DUE_ROWS_NEXT] = "the feed's next page",
    [STATEMENT_DUE_COUNT] = "the count of what is due",
    [STATEMENT_LATE_ROWS] = "the question for what is late",
    [STATEMENT_BEGIN] = "the beginning of a reconciliation",
    [STATEMENT_ACTIVE_ROWS] = "a reconciliation's page",
    [STATEMENT_TIED_ROWS] = "a reconciliation's page of one moment",
    [STATEMENT_LOOKUP] = "a reconciliation's lookup of ids",
    [STATEMENT_STOCK] = "the comparison of counters",
    [STATEMENT_STOCK_LOCK] = "the lock of a counter",
    [STATEMENT_STOCK_REPAIR] = "the repair of a counter",
    [STATEMENT_BLOCKERS] = "the question for who holds a lock",
};

/* How many parameters a statement has: the highest number after a $. */
static int count_params(const char *sql)
{
    int highest = 0;
    for (const char *p = strchr(sql, '$'); p != NULL; p = strchr(p + 1, '$')) {
        int n = (int)strtol(p + 1, NULL, 10);
        highest = n > highest ? n : highest;
    }
    return highest;
}

static void explain(struct check_database *c);

static void on_plan(struct check_database *c, const struct pg_result *r,
                    const struct pg_answer *answer)
{
    const char *name = names[c->which] != NULL ? names[c->which] : "a statement";
    bool needed = c->which != STATEMENT_BLOCKERS; /* releases go on without it */
    if (r == NULL && !needed && c->clean)
        check_unknown("who holds a reservation locked", answer);
    else if (r == NULL && needed)
        check_refused(c, name, answer);
    c->which++;
    explain(c);
}

static void explain(struct check_database *c)
{
    static const char *const nulls[PARAMS_MAX];
    static const char verb[] = "EXPLAIN (COSTS OFF) ";
    if (c->which == STATEMENT_COUNT) {
        if (c->clean)
            check_ok("statements: all are accepted (EXPLAIN)");
        check_next(c);
        return;
    }
    const char *text = statements_text(c->context->parts.statements, (enum statement)c->which);
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
