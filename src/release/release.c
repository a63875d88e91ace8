/* One release transaction: makes the request, reads the outcomes. */
#include "release/release.h"

#include "base/clock.h"
#include "base/parse.h"
#include "base/time_units.h"
#include "link/pg_array.h"
#include "link/pg_link.h"
#include "release/outcomes.h"
#include "store/ask.h"
#include "store/fragment.h"
#include "store/statements.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Settings of this transaction. TimeZone: what the operator's SQL writes may meet a column without
 * a zone. random_page_cost: with hundreds of ids, or a few of a table that
 * was never analyzed, the planner must not read whole tables. The clock is read here, before the
 * work begins: the tighter bound (clock.h). */
#define SETTINGS                                                                                   \
    PG_SETTINGS_3("(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint",          \
                  PG_SET("statement_timeout", "$2"), PG_SET("random_page_cost", "'1.1'"))          \
    ", " PG_SET("TimeZone", "'UTC'")
#define LOCK_TIMEOUT ", " PG_SET("lock_timeout", "$1")
#define NO_WAIT ", " PG_SET("synchronous_commit", "'off'")
static const char settings_sql[] = SETTINGS LOCK_TIMEOUT;
static const char settings_no_wait_sql[] = SETTINGS LOCK_TIMEOUT NO_WAIT;
/* One release at a time (sql/release_bulk.sql has the same, at its place): one that locks counters
 * first would find those that another release holds, and leave its reservations for later as if a
 * checkout were at them. It holds nothing while it waits, and its snapshot comes after. */
#define ALONE                                                                                      \
    SETTINGS ", " PG_LINK_OWN                                                                      \
             ", " PG_SET("lock_timeout", "$3") ", " MAPPING_RELEASE_LOCK LOCK_TIMEOUT
static const char alone_sql[] = ALONE;
static const char alone_no_wait_sql[] = ALONE NO_WAIT;

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

/* Parsing and planning are half of a release of a few, and nothing beside one of hundreds, for
 * which a plan of its own is the safer one. */
#define NAMED_IDS_MAX 100

#define ALSO_LEAST_US (200 * MS_US)

struct request {
    struct pg_link *link;
    struct release_options options;
    bool lean;                 /* what was sent last */
    const struct queue *queue; /* ... with its statements behind */
    bool isolated; /* after an answer that there is another default of the isolation level */
    uint64_t generation;
    struct item **items;
    size_t n;
    void (*done)(void *arg, const struct release_result *result);
    void *arg;
};

/* PostgreSQL manual, appendix A. What is not listed is a row's: triggers may raise any code. */
enum release_fault release_classify(const char *sqlstate, bool inside)
{
    static const struct {
        const char *prefix; /* longer ones first */
        enum release_fault fault;
    } faults[] = {
        {"40001", RELEASE_RETRY}, {"40P01", RELEASE_RETRY}, {"55P03", RELEASE_RETRY},
        {"57014", RELEASE_SLOW},  {"25006", RELEASE_GONE},  {"57P0", RELEASE_GONE},
        {"53300", RELEASE_GONE},  {"08", RELEASE_GONE},     {"0A", RELEASE_EITHER},
        {"25", RELEASE_SERVER},   {"26", RELEASE_SERVER},   {"28", RELEASE_SERVER},
        {"3D", RELEASE_SERVER},   {"3F", RELEASE_EITHER},   {"40", RELEASE_RETRY},
        {"42", RELEASE_EITHER},   {"53", RELEASE_SERVER},   {"54", RELEASE_EITHER},
        {"55", RELEASE_EITHER},   {"57", RELEASE_SERVER},   {"58", RELEASE_EITHER},
        {"F0", RELEASE_SERVER},   {"XX", RELEASE_EITHER},   {RELEASE_WRONG_TABLES, RELEASE_SERVER},
    };
    enum release_fault fault = RELEASE_ROW;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]) && fault == RELEASE_ROW; i++)
        if (strncmp(sqlstate, faults[i].prefix, strlen(faults[i].prefix)) == 0)
            fault = faults[i].fault;
    return inside && (fault == RELEASE_GONE || fault == RELEASE_SERVER) ? RELEASE_EITHER : fault;
}

/* Returns 0, or -1 when the answer is not what the statements give. */
static int read_outcomes(struct request *q, const struct pg_answer *answer)
{
    if (answer->nresults < 2 || pg_result_columns(answer->results[0]) < 1 ||
        pg_result_rows(answer->results[0]) != 1 ||
        outcomes_read(q->options.way, q->items, q->n, answer->results[1]) != 0)
        return -1;
    server_clock_sample(q->options.clock, pg_result_int(answer->results[0], 0, 0), answer->sent_us,
                        answer->received_us);
    return 0;
}

/* What the statement itself refuses is said by a cast that fails, 22P02, with the sentence between
 * <sweeper KIND> and </sweeper>, whatever language the server speaks around it. Copies the sentence
 * and returns its SQLSTATE, or NULL when the error is another. */
static const char *read_refusal(const struct pg_answer *answer, char *out, size_t size)
{
    static const struct {
        const char *begin, *sqlstate;
    } kinds[] = {
        {"<sweeper counter>", RELEASE_WRONG_COUNTER},
        {"<sweeper row>", RELEASE_WRONG_ROW},
        {"<sweeper tables>", RELEASE_WRONG_TABLES},
    };
    for (size_t i = 0; strcmp(answer->sqlstate, "22P02") == 0 && i < 3; i++) {
        const char *text = strstr(answer->message, kinds[i].begin);
        if (text == NULL)
            continue;
        text += strlen(kinds[i].begin);
        const char *end = strstr(text, "</sweeper>");
        size_t len = end != NULL ? (size_t)(end - text) : strlen(text);
        snprintf(out, size, "%.*s", (int)len, text);
        return kinds[i].sqlstate;
    }
    return NULL;
}

static int send(struct request *q, bool may_be_lean);

/* The lean form says that something does not add up, and not what: the same once more in the
 * explaining form, in what is left of its time. Returns 0 when that was sent. */
static int recheck_all(struct request *q, const struct pg_answer *answer)
{
    int64_t left_us = q->options.statement_timeout_us - (answer->received_us - answer->sent_us);
    q->options.statement_timeout_us = left_us > MS_US ? left_us : MS_US;
    return send(q, false);
}

void release_judge(struct release_result *result, const struct pg_answer *answer,
                   char sentence[RELEASE_SENTENCE])
{
    *result = (struct release_result){.fault = RELEASE_OK,
                                      .sqlstate = answer->sqlstate,
                                      .message = answer->message,
                                      .table = answer->table,
                                      .sent_us = answer->sent_us,
                                      .received_us = answer->received_us};
    if (answer->status == PG_UNKNOWN) {
        result->fault = RELEASE_UNKNOWN;
    } else if (ask_is_stale(answer)) {
        result->fault = RELEASE_STALE;
    } else if (answer->status == PG_REFUSED) {
        const char *refusal = read_refusal(answer, sentence, RELEASE_SENTENCE);
        if (refusal != NULL) {
            result->sqlstate = refusal;
            result->message = sentence;
        }
        result->fault = release_classify(result->sqlstate, answer->inside && refusal == NULL);
        if (answer->refused < 0) /* a setting, which is no row's fault */
            result->fault = RELEASE_SERVER;
    }
}

void release_judge_also(struct release_result *result, const struct pg_answer *answer, int first,
                        const struct queue *queue, char sentence[RELEASE_SENTENCE])
{
    int place = answer->refused - first;
    bool theirs = place >= 0 && place < 2 * queue->nalso;
    if (answer->status != PG_REFUSED || ask_is_stale(answer) || !theirs)
        return;
    fragment_also_place(queue, place / 2, sentence, RELEASE_SENTENCE);
    size_t len = strlen(sentence);
    snprintf(sentence + len, RELEASE_SENTENCE - len, "%s", answer->message);
    result->message = sentence;
    result->sqlstate = answer->sqlstate;
    result->fault = strcmp(answer->sqlstate, "57014") == 0
                        ? RELEASE_RETRY
                        : release_classify(answer->sqlstate, answer->inside);
}

static void on_answer(void *arg, const struct pg_answer *answer)
{
    struct request *q = arg;
    bool doubtful = q->lean && strcmp(answer->sqlstate, "22012") == 0;
    bool outdated = statements_generation(q->options.statements) != q->generation;
    if (doubtful && !outdated && recheck_all(q, answer) == 0)
        return;
    if (!q->isolated && strcmp(answer->sqlstate, PG_LINK_OTHER_LEVEL) == 0) {
        q->isolated = true;
        if (!outdated && send(q, true) == 0)
            return;
    }
    char sentence[RELEASE_SENTENCE];
    struct release_result result;
    release_judge(&result, answer, sentence);
    release_judge_also(&result, answer, RELEASE_ALSO_PLACE, q->queue, sentence);
    if (doubtful && outdated) {
        result.fault = RELEASE_STALE;
    } else if (result.fault == RELEASE_OK && read_outcomes(q, answer) != 0) {
        for (size_t i = 0; i < q->n; i++)
            q->items[i]->outcome = OUTCOME_NONE;
        result.fault = RELEASE_UNKNOWN; /* it committed, but nobody can say what */
        result.message = "the release gave an unexpected answer";
    }
    void (*done)(void *, const struct release_result *) = q->done;
    void *done_arg = q->arg;
    free(q);
    done(done_arg, &result);
}

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
    assert(n_also == 0 || n == RELEASE_ALSO_PLACE);
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

int release_ask(struct pg_link *link, const struct release_options *options, enum statement which,
                struct item *const *items, size_t n, pg_answer_cb *cb, void *arg)
{
    char lock_timeout[32], statement_timeout[32], alone_timeout[32];
    /* At least 1 ms: to Postgres 0 means for ever. */
    int64_t lock_ms = options->lock_timeout_us / MS_US;
    snprintf(lock_timeout, sizeof(lock_timeout), "%lldms", (long long)(lock_ms > 0 ? lock_ms : 1));
    snprintf(statement_timeout, sizeof(statement_timeout), "%lldms",
             (long long)(options->statement_timeout_us / MS_US));
    snprintf(alone_timeout, sizeof(alone_timeout), "%lldms",
             (long long)(options->statement_timeout_us / 2000));
    bool by_place = which == STATEMENT_RELEASE_BACKLOG;
    char *ids = id_array(items, n);
    char *places = by_place ? item_places(items, n) : NULL;
    int rc = -1;
    if (ids == NULL || (by_place && places == NULL))
        goto out;
    bool lean = which == STATEMENT_RELEASE_LEAN;
    bool explaining = which == STATEMENT_RELEASE_CAREFUL || which == STATEMENT_RELEASE_WAITING;
    bool alone = lean || explaining;
    bool rows_first = which == STATEMENT_RELEASE_BULK || by_place;
    bool small = n <= NAMED_IDS_MAX && !rows_first;
    const char *settings[] = {lock_timeout, statement_timeout, alone_timeout};
    const char *params[] = {ids, lock_timeout, alone_timeout, places};
    struct ask_query queries[ASK_QUERIES_MAX] = {
        {.sql = begin_sql(alone, options->no_wait),
         .nparams = alone ? 3 : 2,
         .params = settings,
         .isolates = alone,
         .often = true},
        {.statement = which,
         .nparams = by_place ? 4 : (rows_first ? 3 : 1),
         .params = params,
         .often = small},
    };
    int n_queries = 2;
    const struct mapping_types *types = statements_types(options->statements);
    int64_t also_us = explaining ? also_time_us(options) : 0;
    char also_ms[32];
    snprintf(also_ms, sizeof(also_ms), "%lld", (long long)(also_us / MS_US));
    const char *const also_params[] = {also_ms, statement_timeout};
    if (explaining)
        n_queries = add_also(options->statements, queries, n_queries, also_params);
    if (explaining && types->deferred)
        queries[n_queries++] = (struct ask_query){.sql = early_sql};
    if (explaining && mapping_looks_again(types))
        queries[n_queries++] = (struct ask_query){
            .statement = STATEMENT_RELEASE_CHECK, .nparams = 1, .params = params, .often = small};
    if (options->rehearsal != NULL)
        n_queries = rehearse(queries, n_queries, options->rehearsal, params);
    /* Half as long again as the server allows itself: then the connection is dead. */
    const struct ask_options ask = {.statements = options->statements,
                                    .clock = options->clock,
                                    .link = link,
                                    .deadline_us = options->statement_timeout_us * 3 / 2 + also_us};
    rc = ask_send(&ask, queries, n_queries, cb, arg);
out:
    free(ids);
    free(places);
    return rc;
}

static int send(struct request *q, bool may_be_lean)
{
    static const enum statement release[RELEASE_WAYS] = {
        [RELEASE_CAREFUL] = STATEMENT_RELEASE_CAREFUL,
        [RELEASE_WAITING] = STATEMENT_RELEASE_WAITING,
        [RELEASE_BULK] = STATEMENT_RELEASE_BULK,
        [RELEASE_BACKLOG] = STATEMENT_RELEASE_BACKLOG,
    };
    const struct statements *s = q->options.statements;
    q->lean = may_be_lean && q->options.way == RELEASE_CAREFUL &&
              mapping_allows_lean(statements_types(s));
    q->generation = statements_generation(s);
    q->queue = statements_types(s)->queue;
    return release_ask(q->link, &q->options,
                       q->lean ? STATEMENT_RELEASE_LEAN : release[q->options.way], q->items, q->n,
                       on_answer, q);
}

int release_send(struct pg_link *link, const struct release_options *options, struct item **items,
                 size_t n, void (*done)(void *arg, const struct release_result *result), void *arg)
{
    struct request *q = malloc(sizeof(*q));
    if (q == NULL)
        return -1;
    *q = (struct request){
        .link = link, .options = *options, .items = items, .n = n, .done = done, .arg = arg};
    int rc = send(q, true);
    if (rc != 0)
        free(q);
    return rc;
}
