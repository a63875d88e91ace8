/* The request of one release transaction: its statements, with their parameters. */
#include "base/int_text.h"
#include "base/time_units.h"
#include "link/pg_array.h"
#include "link/pg_link.h"
#include "release/release.h"
#include "store/ask.h"
#include "store/statements.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Settings of this transaction. random_page_cost: with hundreds of ids, or a few of a table that
 * was never analyzed, the planner must not read whole tables. The clock is read here, before the
 * work begins: the tighter bound (clock.h). When the server was started says whether it is another
 * one than before, behind a pooler. */
#define SETTINGS                                                                                   \
    PG_SETTINGS_3("(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint, "         \
                  "(extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint", \
                  PG_SET("statement_timeout", "$2"), PG_SET("random_page_cost", "'1.1'"))          \
    ", " WHOLE
/* After this long we have given the connection up. Postgres does not know, when we are suspended or
 * out of reach in the middle of sending (cut_off.h). It ends no COMMIT that waits for a standby. */
#define WHOLE                                                                                      \
    "CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000 THEN " PG_SET(      \
        "transaction_timeout", "$3") " END"
#define LOCK_TIMEOUT ", " PG_SET("lock_timeout", "$1")
/* Only in a session that is ours, of the pid that the connection began with: the first release of a
 * connection does not know yet, and would wait for a standby that is gone. */
#define NO_WAIT(pid)                                                                               \
    ", " PG_SET("synchronous_commit",                                                              \
                "CASE WHEN pg_catalog.pg_backend_pid() = " pid "::int THEN 'off'"                  \
                " ELSE pg_catalog.current_setting('synchronous_commit') END")
static const char settings_sql[] = SETTINGS LOCK_TIMEOUT;
static const char settings_no_wait_sql[] = SETTINGS LOCK_TIMEOUT NO_WAIT("$4");
/* One release at a time (sql/release_bulk.sql has the same, at its place): one that locks counters
 * first would find those that another release holds, and leave its reservations for later as if a
 * checkout were at them. It holds nothing while it waits, and its snapshot comes after. */
#define ALONE                                                                                      \
    SETTINGS ", " PG_LINK_OWN                                                                      \
             ", " PG_SET("lock_timeout", "$4") ", " MAPPING_RELEASE_LOCK LOCK_TIMEOUT
static const char alone_sql[] = ALONE;
static const char alone_no_wait_sql[] = ALONE NO_WAIT("$5");

static const char *begin_sql(bool alone, bool no_wait)
{
    if (alone)
        return no_wait ? alone_no_wait_sql : alone_sql;
    return no_wait ? settings_no_wait_sql : settings_sql;
}

const char *release_settings(bool alone)
{
    return begin_sql(alone, false);
}

/* Triggers that wait for the COMMIT have their say before the last look. In a block, since there is
 * no BEGIN: SET CONSTRAINTS would leave a WARNING in the server's log each time. */
static const char early_sql[] = "DO 'BEGIN SET CONSTRAINTS ALL IMMEDIATE; END'";

/* The operator's statements (`also`) have one time together, in which counters are locked: the lock
 * timeout is for each lock, of which a statement may wait for many. Without a round trip: each is
 * told how much is left by the query before it. At least 1 ms: to Postgres 0 means for ever. */
#define NOW_MS "(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint"
#define ALSO_ENDS "reservation_sweeper.also_ends"
static const char also_first_sql[] =
    PG_SETTINGS_2(PG_SET(ALSO_ENDS, "(" NOW_MS " + $1::bigint)::pg_catalog.text"),
                  PG_SET("statement_timeout", "$1::bigint::pg_catalog.text"));
static const char also_next_sql[] = PG_SETTINGS_1(
    PG_SET("statement_timeout", "greatest(1, pg_catalog.current_setting('" ALSO_ENDS "')::bigint"
                                " - " NOW_MS ")::pg_catalog.text"));
static const char also_done_sql[] = PG_SETTINGS_1(PG_SET("statement_timeout", "$1"));
#define ALSO_NAMED_MOST 12 /* a session has not many names (pg_prepare.h) */

/* A function of the shop's (`call`) has no lock timeout: it waits as long as a statement may. */
static const char call_first_sql[] = PG_SETTINGS_1(PG_SET("lock_timeout", "'0'"));

/* Parsing and planning are half of a release of a few, and nothing beside one of hundreds, for
 * which a plan of its own is the safer one. */
#define NAMED_IDS_MAX 100

#define ALSO_LEAST_US (200 * MS_US)

static char *id_array(struct item *const *items, size_t n)
{
    struct pg_array ids = {0};
    for (size_t i = 0; i < n; i++)
        pg_array_add(&ids, items[i]->id, items[i]->id_len);
    return pg_array_finish(&ids);
}

/* Makes a rehearsal of n queries, the first of which are the settings: between BEGIN and ROLLBACK,
 * with a look at the ids before and after. None of them may be sent twice. Returns how many there
 * are then. */
static int rehearse(struct ask_query *queries, int n, const struct release_rehearsal *rehearsal,
                    const char *const *ids)
{
    const struct ask_query last[] = {
        {.sql = "SET CONSTRAINTS ALL IMMEDIATE"}, /* what waits for a COMMIT that never comes */
        {.sql = rehearsal->after, .nparams = 1, .params = ids},
        {.sql = "ROLLBACK"}};
    assert(n + RELEASE_REHEARSAL_MORE <= ASK_QUERIES_MAX);
    memmove(queries + 3, queries + 1, ((size_t)n - 1) * sizeof(*queries));
    queries[1] = queries[0];
    queries[0] = (struct ask_query){.sql = "BEGIN"};
    queries[2] = (struct ask_query){.sql = rehearsal->before, .nparams = 1, .params = ids};
    n += 2;
    for (int i = 0; i < n; i++)
        queries[i].often = queries[i].isolates = false;
    memcpy(queries + n, last, sizeof(last));
    return n + 3;
}

/* How long all of the operator's statements may take; 0: there are none. */
static int64_t also_time_us(const struct release_options *options)
{
    if (statements_types(options->statements)->queue->nalso == 0)
        return 0;
    int64_t us = 10 * options->longest_lock_us;
    us = us > ALSO_LEAST_US ? us : ALSO_LEAST_US;
    return us < options->statement_timeout_us ? us : options->statement_timeout_us;
}

/* Puts them behind the first n; params: their time, then that of what follows. Returns how many
 * there are then. */
static int add_also(const struct statements *s, struct ask_query *queries, int n,
                    const char *const params[2])
{
    const int n_also = statements_types(s)->queue->nalso;
    for (int i = 0; i < n_also; i++) {
        queries[n++] = (struct ask_query){.sql = i == 0 ? also_first_sql : also_next_sql,
                                          .nparams = i == 0 ? 1 : 0,
                                          .params = params,
                                          .often = true};
        queries[n++] =
            (struct ask_query){.sql = statements_also(s, i), .often = i < ALSO_NAMED_MOST};
    }
    if (n_also > 0)
        queries[n++] = (struct ask_query){
            .sql = also_done_sql, .nparams = 1, .params = params + 1, .often = true};
    return n;
}

int release_place(const struct queue *queue)
{
    return queue->keep.condition.text != NULL ? 2 : 1;
}

int release_call_place(const struct queue *queue)
{
    return release_place(queue) + 2;
}

/* The parameters of a request, as texts, until it is sent. */
struct texts {
    char lock_timeout[32], statement_timeout[32], whole_timeout[32], alone_timeout[32], also_ms[32];
    char pid[INT_TEXT]; /* that the connection began with */
    char *ids, *places, *since, *due;
};

static void texts_free(struct texts *t)
{
    free(t->ids);
    free(t->places);
    free(t->since);
    free(t->due);
}

/* Since when items are kept, or when they are due as they were left, as an array; 0: nothing is
 * known. NULL: out of memory. */
static char *kept_array(struct item *const *items, size_t n, bool due)
{
    struct pg_array array = {0};
    for (size_t i = 0; i < n; i++) {
        char text[INT_TEXT];
        int64_t ms = due ? items[i]->kept.due_ms : items[i]->kept.since_ms;
        pg_array_add(&array, text, int_text(text, ms));
    }
    return pg_array_finish(&array);
}

static bool is_explaining(enum statement which)
{
    return which == STATEMENT_RELEASE_CAREFUL || which == STATEMENT_RELEASE_WAITING;
}

/* Half as long again as the server allows itself: then the connection is dead. */
static int64_t deadline_of(const struct release_options *options, bool explaining)
{
    return options->statement_timeout_us * 3 / 2 + (explaining ? also_time_us(options) : 0);
}

static int texts_make(struct texts *t, const struct release_options *options, enum statement which,
                      struct item *const *items, size_t n)
{
    /* At least 1 ms: to Postgres 0 means for ever. */
    int64_t lock_ms = options->lock_timeout_us / MS_US;
    bool by_place = which == STATEMENT_RELEASE_BACKLOG;
    bool extends = statements_types(options->statements)->queue->keep.extend_us > 0;
    *t = (struct texts){.ids = id_array(items, n)};
    snprintf(t->lock_timeout, sizeof(t->lock_timeout), "%lldms",
             (long long)(lock_ms > 0 ? lock_ms : 1));
    snprintf(t->statement_timeout, sizeof(t->statement_timeout), "%lldms",
             (long long)(options->statement_timeout_us / MS_US));
    snprintf(t->whole_timeout, sizeof(t->whole_timeout), "%lldms",
             (long long)(deadline_of(options, is_explaining(which)) / MS_US));
    snprintf(t->alone_timeout, sizeof(t->alone_timeout), "%lldms",
             (long long)(options->statement_timeout_us / 2000));
    snprintf(t->also_ms, sizeof(t->also_ms), "%lld", (long long)(also_time_us(options) / MS_US));
    if (by_place)
        t->places = item_places(items, n);
    if (extends) {
        t->since = kept_array(items, n, false);
        t->due = kept_array(items, n, true);
    }
    return t->ids == NULL || (by_place && t->places == NULL) ||
                   (extends && (t->since == NULL || t->due == NULL))
               ? -1
               : 0;
}

/* An explaining release, at the end of n queries, and what belongs to it: what locks the rows that
 * may be kept; the operator's statements, or the call of a function; triggers that wait; the last
 * look. Returns how many there are then. */
static int add_explaining(const struct release_options *options, struct ask_query *queries, int n,
                          const struct ask_query *release, const char *const also_params[2])
{
    const struct mapping_types *types = statements_types(options->statements);
    if (types->queue->keep.condition.text != NULL) {
        queries[n] = *release;
        queries[n++].statement = STATEMENT_KEEP_LOCK;
    }
    assert(n == release_place(types->queue));
    queries[n++] = *release;
    n = add_also(options->statements, queries, n, also_params);
    if (types->queue->call.name != NULL) {
        assert(n == release_call_place(types->queue) - 1);
        queries[n++] = (struct ask_query){.sql = call_first_sql, .often = true};
        queries[n++] = (struct ask_query){.statement = STATEMENT_CALL,
                                          .nparams = 1,
                                          .params = release->params,
                                          .often = release->often};
    }
    if (types->deferred)
        queries[n++] = (struct ask_query){.sql = early_sql};
    if (mapping_looks_again(types))
        queries[n++] = (struct ask_query){.statement = STATEMENT_RELEASE_CHECK,
                                          .nparams = 1,
                                          .params = release->params,
                                          .often = release->often};
    return n;
}

int release_ask(struct pg_link *link, const struct release_options *options, enum statement which,
                struct item *const *items, size_t n, pg_answer_cb *cb, void *arg)
{
    bool by_place = which == STATEMENT_RELEASE_BACKLOG;
    bool rows_first = which == STATEMENT_RELEASE_BULK || by_place;
    bool explaining = is_explaining(which);
    bool alone = which == STATEMENT_RELEASE_LEAN || explaining;
    struct texts t;
    int rc = texts_make(&t, options, which, items, n);
    if (rc != 0)
        goto out;
    const char *pid = t.pid;
    (void)int_text(t.pid, pg_link_backend_pid(link));
    const char *settings[] = {t.lock_timeout, t.statement_timeout, t.whole_timeout,
                              alone ? t.alone_timeout : pid, pid};
    const char *rows_params[] = {t.ids, t.lock_timeout, t.alone_timeout, t.places};
    const char *params[] = {t.ids, t.since, t.due};
    const char *const also_params[] = {t.also_ms, t.statement_timeout};
    struct ask_query queries[ASK_QUERIES_MAX] = {
        {.sql = begin_sql(alone, options->no_wait),
         .nparams = (alone ? 4 : 3) + (options->no_wait ? 1 : 0),
         .params = settings,
         .isolates = alone,
         .often = true},
    };
    const struct ask_query query = {.statement = which,
                                    .nparams = by_place                        ? 4
                                               : rows_first                    ? 3
                                               : explaining && t.since != NULL ? 3
                                                                               : 1,
                                    .params = rows_first ? rows_params : params,
                                    .often = n <= NAMED_IDS_MAX && !rows_first};
    int n_queries = 1;
    if (explaining)
        n_queries = add_explaining(options, queries, n_queries, &query, also_params);
    else
        queries[n_queries++] = query;
    if (options->rehearsal != NULL)
        n_queries = rehearse(queries, n_queries, options->rehearsal, params);
    const struct ask_options ask = {.statements = options->statements,
                                    .clock = options->clock,
                                    .link = link,
                                    .deadline_us = deadline_of(options, explaining)};
    rc = ask_send(&ask, queries, n_queries, cb, arg);
out:
    texts_free(&t);
    return rc;
}
