/* --check-config: each statement that the sweeper sends, by EXPLAIN: names, types, grants, rules,
 * policies and published tables are looked at as if it were run, and nothing is. */
#include "app/check_private.h"

#include "link/pg_link.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMS_MAX 16

#define REPLICA_IDENTITY                                                                           \
    "a published table needs ALTER TABLE ... REPLICA IDENTITY, to its primary key, a unique "      \
    "index, "                                                                                      \
    "or FULL; a view must be one that can be updated"

static const char *const names[STATEMENT_COUNT] = {
    [STATEMENT_RELEASE_CAREFUL] = "the release",
    [STATEMENT_RELEASE_WAITING] = "the release that waits",
    [STATEMENT_RELEASE_BULK] = "the release of a backlog",
    [STATEMENT_RELEASE_CHECK] = "the second look at a release",
    [STATEMENT_PRODUCTS] = "the look at a refused reservation",
    [STATEMENT_DUE_ROWS] = "the feed's look",
    [STATEMENT_DUE_ROWS_NEXT] = "the feed's next page",
    [STATEMENT_DUE_COUNT] = "the count of what is due",
    [STATEMENT_LATE_ROWS] = "the look for what is late",
    [STATEMENT_BEGIN] = "the beginning of a reconciliation",
    [STATEMENT_ACTIVE_ROWS] = "a reconciliation's page",
    [STATEMENT_TIED_ROWS] = "a reconciliation's page of one moment",
    [STATEMENT_LOOKUP] = "a reconciliation's look at ids",
    [STATEMENT_STOCK] = "the comparison of counters",
    [STATEMENT_STOCK_LOCK] = "the lock of a counter",
    [STATEMENT_STOCK_REPAIR] = "the repair of a counter",
    [STATEMENT_BLOCKERS] = "the look for who holds a lock",
};

/* What to do about it; PostgreSQL manual, appendix A. */
static const char *remedy(const char *sqlstate)
{
    static const struct {
        const char *sqlstate, *text;
    } remedies[] = {
        {"0A000", "a rule of the table keeps it from being updated so: drop the rule"},
        {"22001", "the column is too short for the sweeper's states: widen it"},
        {"22P02",
         "the column's type must know the states 'active' and 'released': ALTER TYPE ... ADD "
         "VALUE, where it is an enum"},
        {"23514", "'released' must be allowed: change the constraint"},
        {"42P10", REPLICA_IDENTITY},
        {"42P17", "a policy of the table asks for the table itself: change it"},
        {"42501",
         "GRANT SELECT, UPDATE on both tables, USAGE on their schema, and what their policies "
         "ask for"},
        {"42703", "the sweeper reads and writes this column: is it another table?"},
        {"42704",
         "a policy or a trigger needs this setting: ALTER ROLE ... SET it for the sweeper"},
        {"42804", "the column's type cannot take what the sweeper writes: change the type"},
        {"42883", "columns that belong together have different types (the two product ids, or a "
                  "quantity and its counter): give both the same"},
        {"428C9", "a generated column cannot be written: make it an ordinary one"},
        {"55000", REPLICA_IDENTITY},
    };
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
        if (strcmp(remedies[i].sqlstate, sqlstate) == 0)
            return remedies[i].text;
    return "the server's log has the details";
}

/* Whether this SQLSTATE was said already; remembers it. */
static bool said(struct check *c, const char *sqlstate)
{
    for (size_t i = 0; i < sizeof(c->pg.refusals) / sizeof(c->pg.refusals[0]); i++) {
        char *known = c->pg.refusals[i];
        if (strcmp(known, sqlstate) == 0)
            return true;
        if (known[0] == '\0') {
            memcpy(known, sqlstate, sizeof(c->pg.refusals[0]));
            return false;
        }
    }
    return false;
}

void check_refused(struct check *c, const char *what, const struct pg_answer *answer)
{
    c->pg.clean = false;
    if (strcmp(answer->sqlstate, "57014") == 0)
        check_note("%s took longer than 5 s and was given up", what);
    else if (statements_unspeakable(answer->sqlstate))
        check_note("%s meets a text that has no form in UTF-8, which the sweeper reads as bytes",
                   what);
    else if (!said(c, answer->sqlstate))
        check_fail(c, "%s is refused: %s (SQLSTATE %s): %s", what, answer->message,
                   answer->sqlstate, remedy(answer->sqlstate));
}

void check_unknown(const char *what, const struct pg_answer *answer)
{
    check_note("%s cannot be told: %s", what,
               answer->status == PG_DONE ? "an unexpected answer" : answer->message);
}

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

static void explain(struct check *c);

static void on_plan(struct check *c, const struct pg_result *r, const struct pg_answer *answer)
{
    const char *name = names[c->pg.which] != NULL ? names[c->pg.which] : "a statement";
    bool needed = c->pg.which != STATEMENT_BLOCKERS; /* releases go on without it */
    if (r == NULL && !needed && c->pg.clean)
        check_unknown("who holds a reservation locked", answer);
    else if (r == NULL && needed)
        check_refused(c, name, answer);
    c->pg.which++;
    explain(c);
}

static void explain(struct check *c)
{
    static const char *const nulls[PARAMS_MAX];
    static const char verb[] = "EXPLAIN (COSTS OFF) ";
    if (c->pg.which == STATEMENT_COUNT) {
        if (c->pg.clean)
            check_ok("statements: all are accepted (EXPLAIN)");
        check_postgres_next(c);
        return;
    }
    const char *text = statements_text(c->context.parts.statements, (enum statement)c->pg.which);
    size_t size = sizeof(verb) + strlen(text);
    char *sql = malloc(size);
    if (sql != NULL)
        snprintf(sql, size, "%s%s", verb, text);
    check_ask(c, sql, count_params(text), nulls, on_plan);
    free(sql);
}

void check_statements(struct check *c)
{
    c->pg.clean = true;
    explain(c);
}
