/* What each statement is for, in words, and its trial. */
#include "app/statement_names.h"

#include "base/sql_scan.h"
#include "config/queue.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[STATEMENT_COUNT] = {
    [STATEMENT_KEEP_LOCK] = "the lock before a release",
    [STATEMENT_RELEASE_LEAN] = "the release, where nothing stands in the way",
    [STATEMENT_RELEASE_CAREFUL] = "the release",
    [STATEMENT_RELEASE_WAITING] = "the release that waits",
    [STATEMENT_RELEASE_BULK] = "the release of a backlog",
    [STATEMENT_RELEASE_BACKLOG] = "the release of a backlog by places",
    [STATEMENT_CALL] = "the call of the function",
    [STATEMENT_RELEASE_CHECK] = "the check of a release",
    [STATEMENT_PRODUCTS] = "the question for the products of reservations",
    [STATEMENT_DUE_ROWS] = "the feed's poll",
    [STATEMENT_DUE_ROWS_NEXT] = "the feed's next page",
    [STATEMENT_DUE_COUNT] = "the count of what is due",
    [STATEMENT_DUE_FIRST] = "the count of what is due at the start",
    [STATEMENT_ODD_ROWS] = "the question for rows that can never be due",
    [STATEMENT_LATE_ROWS] = "the question for what is late",
    [STATEMENT_BEGIN] = "the beginning of a reconciliation",
    [STATEMENT_ACTIVE_ROWS] = "a reconciliation's page",
    [STATEMENT_TIED_ROWS] = "a reconciliation's page of one moment",
    [STATEMENT_LOOKUP] = "a reconciliation's lookup of ids",
    [STATEMENT_STOCK] = "the comparison of counters",
    [STATEMENT_STOCK_LOCK] = "the lock of a counter",
    [STATEMENT_STOCK_REPAIR] = "the repair of a counter",
    [STATEMENT_BLOCKERS] = "the question for who holds a lock",
    [STATEMENT_EXPLAIN_HOLDS] = "the holds of one reservation, for --explain",
    [STATEMENT_EXPLAIN_COUNTERS] = "the counters of one reservation, for --explain",
    [STATEMENT_EXPLAIN_SUMS] = "what its counters should be, for --explain",
};

const char *statement_name(enum statement which)
{
    assert(names[which] != NULL);
    return names[which];
}

/* Who holds a lock, and what an explanation shows, is told to people. */
bool statement_is_needed(int which)
{
    return which < STATEMENT_BLOCKERS || which >= STATEMENT_COUNT;
}

bool statement_is_used(enum statement which, const struct mapping_types *types, const char *text)
{
    return text[0] != '\0' && (which != STATEMENT_RELEASE_CHECK || mapping_looks_again(types));
}

const char *statement_next(const struct statements *s, int *which)
{
    const struct mapping_types *types = statements_types(s);
    for (; *which < STATEMENT_COUNT; (*which)++) {
        const char *text = statements_text(s, (enum statement) * which);
        if (statement_is_used((enum statement) * which, types, text))
            return text;
    }
    int also = *which - STATEMENT_COUNT, verify = also - types->queue->nalso;
    if (also < types->queue->nalso)
        return statements_also(s, also);
    return verify < types->queue->nverify ? statements_verify(s, verify) : NULL;
}

int statement_place(const struct statements *s, int which, char *what, size_t size)
{
    const struct queue *q = statements_types(s)->queue;
    if (which < STATEMENT_COUNT) {
        snprintf(what, size, "%s", statement_name((enum statement)which));
        return which == STATEMENT_CALL ? q->call.line : q->line;
    }
    int also = which - STATEMENT_COUNT, verify = also - q->nalso;
    if (also < q->nalso) {
        snprintf(what, size, "statement %d of `also`", also + 1);
        return q->also[also].line;
    }
    snprintf(what, size, "query %d of `verify`", verify + 1);
    return q->verify[verify].line;
}

/* How many parameters a statement has: the highest number after a $. */
static int count_params(const char *sql)
{
    int highest = 0;
    for (struct sql_token t = sql_scan(&sql); t.kind != SQL_END; t = sql_scan(&sql)) {
        int n = t.kind == SQL_PARAMETER ? (int)strtol(t.at + 1, NULL, 10) : 0;
        highest = n > highest ? n : highest;
    }
    return highest < STATEMENT_PARAMS_MAX ? highest : STATEMENT_PARAMS_MAX;
}

char *statement_explain(const char *text, int *nparams)
{
    static const char verb[] = "EXPLAIN (VERBOSE, COSTS OFF) ";
    size_t size = sizeof(verb) + strlen(text);
    char *sql = malloc(size);
    *nparams = count_params(text);
    if (sql != NULL)
        snprintf(sql, size, "%s%s", verb, text);
    return sql;
}
