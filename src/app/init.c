/* --init: looks at the database and prints a draft of a queues file for the tables that look like
 * holds. One question to the catalog, then one for each column whose values have to be seen, at
 * most two or three a table; each in a read-only transaction of its own that is short. */
#include "app/init_draft.h"
#include "app/init_guess.h"
#include "app/init_words.h"
#include "app/modes.h"
#include "app/servers.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "link/loop.h"
#include "link/pg_array.h"
#include "link/pg_link.h"
#include "store/questions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_US (5 * SECOND_US)
/* Longer than the server allows itself: then the connection is dead. */
#define DEADLINE_US (12 * SECOND_US)

#define TABLES_MAX 20
/* A column with more values than this is no status. */
#define STATUS_VALUES_MAX 20

/* A database without an encoding sends what it has: what is no UTF-8 is left out here. */
static const char settings[] = PG_SETTINGS_4(
    PG_SET("transaction_read_only", "'on'"), PG_SET("lock_timeout", "'3s'"),
    PG_SET("statement_timeout", "'10s'"),
    PG_SET("client_encoding",
           "CASE pg_catalog.current_setting('server_encoding') WHEN 'SQL_ASCII' THEN 'SQL_ASCII' "
           "ELSE pg_catalog.current_setting('client_encoding') END"));

struct init {
    const struct config *config;
    struct servers servers;
    struct database *database;
    struct pg_link *link;
    struct timer *limit;
    json_t *documents; /* of all tables that were looked at */
    struct init_guess guesses[TABLES_MAX];
    int n, more;   /* that look like holds: those in guesses, and those beyond */
    json_t *asked; /* the column whose values are asked for */
    bool connected;
    bool done;
    char error[PG_REASON_SIZE]; /* "": none */
};

static void stop(struct init *s, const char *error)
{
    snprintf(s->error, sizeof(s->error), "%s", error);
    loop_stop(s->servers.loop);
}

static int ask(struct init *s, const char *sql, const char *const *params, int nparams,
               pg_answer_cb *cb)
{
    const struct pg_query queries[] = {{.sql = settings},
                                       {.sql = sql, .nparams = nparams, .params = params}};
    return pg_link_send(s->link, queries, 2, DEADLINE_US, cb, s);
}

static bool needs_values(const json_t *column)
{
    return !json_is_array(json_object_get(column, "values")) &&
           json_object_get(column, "unread") == NULL;
}

/* The next column whose values have to be seen; NULL: there is none. */
static json_t *next_column(struct init *s)
{
    for (int i = 0; i < s->n; i++) {
        const struct init_guess *g = &s->guesses[i];
        for (int j = 0; j < g->status.n; j++)
            if (needs_values(g->status.columns[j]))
                return g->status.columns[j];
        if (g->expires.n == 1 && strcmp(init_text(g->expires.columns[0], "kind"), "bigint") == 0 &&
            needs_values(g->expires.columns[0]))
            return g->expires.columns[0];
    }
    return NULL;
}

static void ask_values(struct init *s);

static void take_values(json_t *column, const struct pg_result *r)
{
    json_t *values = json_array();
    bool status = strcmp(init_text(column, "kind"), "bigint") != 0;
    bool many = status && pg_result_rows(r) > STATUS_VALUES_MAX;
    for (int i = 0; !many && i < pg_result_rows(r); i++) {
        json_t *text = json_string(pg_result_text(r, i, 0));
        if (text != NULL) /* it is UTF-8 */
            json_array_append_new(values, text);
    }
    if (many) /* names, notes */
        json_object_set_new(column, "kind", json_string("other"));
    json_object_set_new(column, "values", values);
}

static void on_values(void *arg, const struct pg_answer *answer)
{
    struct init *s = arg;
    if (answer->status == PG_UNKNOWN) {
        stop(s, answer->message);
        return;
    }
    if (answer->status == PG_DONE)
        take_values(s->asked, answer->results[1]);
    else /* no right to read them, say */
        json_object_set_new(s->asked, "unread", json_string(answer->message));
    ask_values(s);
}

static void ask_values(struct init *s)
{
    s->asked = next_column(s);
    if (s->asked == NULL) {
        s->done = true;
        loop_stop(s->servers.loop);
    } else if (ask(s, init_text(s->asked, "question"), NULL, 0, on_values) != 0) {
        stop(s, "the connection was lost");
    }
}

static int by_score(const void *a, const void *b)
{
    const struct init_guess *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return strcmp(init_text(x->table, "table"), init_text(y->table, "table"));
}

/* Those that look most like holds. Returns -1: out of memory. */
static int guess_all(struct init *s)
{
    size_t i, found = 0;
    json_t *document;
    struct init_guess *all = calloc(json_array_size(s->documents) + 1, sizeof(*all));
    if (all == NULL)
        return -1;
    json_array_foreach(s->documents, i, document)
    {
        all[found] = init_guess(document);
        if (all[found].score > 0 && init_can_be_named(document))
            found++;
    }
    qsort(all, found, sizeof(*all), by_score);
    s->n = found > TABLES_MAX ? TABLES_MAX : (int)found;
    s->more = (int)found - s->n;
    memcpy(s->guesses, all, (size_t)s->n * sizeof(*all));
    free(all);
    return 0;
}

static void on_tables(void *arg, const struct pg_answer *answer)
{
    struct init *s = arg;
    if (answer->status != PG_DONE) {
        stop(s, answer->message);
        return;
    }
    const struct pg_result *r = answer->results[1];
    for (int i = 0; i < pg_result_rows(r); i++) {
        json_t *document = json_loads(pg_result_text(r, i, 0), 0, NULL);
        if (document != NULL) /* its names are UTF-8, as a queues file is */
            json_array_append_new(s->documents, document);
    }
    if (guess_all(s) != 0)
        stop(s, "memory ran out");
    else
        ask_values(s);
}

static char *stems(enum init_sound a, enum init_sound b, enum init_sound c)
{
    struct pg_array array = {0};
    init_stems(a, &array);
    if (b != a)
        init_stems(b, &array);
    if (c != a)
        init_stems(c, &array);
    return pg_array_finish(&array);
}

static void on_postgres(void *arg, bool up, const char *reason)
{
    struct init *s = arg;
    (void)reason;
    if (!up || s->connected)
        return;
    s->connected = true;
    char *expiry = stems(SOUNDS_EXPIRY, SOUNDS_EXPIRY, SOUNDS_EXPIRY);
    char *counter = stems(SOUNDS_FREE, SOUNDS_HELD, SOUNDS_TOTAL);
    const char *params[] = {expiry, counter};
    if (expiry == NULL || counter == NULL)
        stop(s, "memory ran out");
    else if (ask(s, question_text(QUESTION_INIT_TABLES), params, 2, on_tables) != 0)
        stop(s, "the connection was lost");
    free(expiry);
    free(counter);
}

static void on_limit(void *arg)
{
    struct init *s = arg;
    const char *why = pg_link_last_error(s->link);
    if (!s->connected)
        stop(s, why[0] != '\0' ? why : "no answer within 5 s");
}

static int set_up(struct init *s)
{
    if (servers_open(&s->servers, s->config) == 0)
        s->database = servers_database(&s->servers, s->config, false);
    if (s->database == NULL)
        return -1;
    const struct pg_link_options options = {
        .source = database_source(s->database, NULL),
        .application_name = "reservation-sweeper init",
        .read_only_ok = true,
        .on_state = on_postgres,
        .arg = s,
    };
    s->link = pg_link_new(s->servers.loop, &options);
    s->limit = timer_new(s->servers.loop, on_limit, s);
    s->documents = json_array();
    return s->link != NULL && s->limit != NULL && s->documents != NULL ? 0 : -1;
}

/* The name of the queue that is served already, which its keys in Redis begin with, for its table.
 */
static void name_queue(const struct init *s, int i, char name[INIT_NAME_BYTES])
{
    const struct queue *served = s->config->queue;
    const json_t *table = s->guesses[i].table;
    if (strcmp(init_text(table, "table"), served->table.name) == 0 &&
        init_text(table, "schema")[0] == '\0')
        snprintf(name, INIT_NAME_BYTES, "%s", served->name);
    else
        init_draft_name(&s->guesses[i], name);
}

/* No two queues have one name. */
static void print(const struct init *s)
{
    char names[TABLES_MAX][INIT_NAME_BYTES];
    init_draft_head(stdout, s->database->address);
    if (s->more > 0)
        printf("# %d more tables look less like holds, and are not here.\n", s->more);
    for (int i = 0; i < s->n; i++) {
        name_queue(s, i, names[i]);
        for (int j = 0; j < i; j++)
            if (strcmp(names[j], names[i]) == 0)
                snprintf(names[i], INIT_NAME_BYTES, "%.37s-%d", names[j], i + 1);
        init_draft_queue(stdout, &s->guesses[i], names[i]);
    }
}

static int conclude(struct init *s)
{
    if (s->done && guess_all(s) == 0 && s->n > 0) { /* again, since the values are known now */
        print(s);
        return EXIT_DONE;
    }
    const char *address = s->database == NULL ? "" : s->database->address;
    if (s->done)
        log_event(LOG_ERROR, "No table looks like one of holds", LOG_STR, "postgres", address,
                  LOG_STR, "error",
                  "a table with a time that is called like an expiry, and a status, units or "
                  "counters, was looked for: docs/SHOPS.md says how to write the file",
                  LOG_END);
    else if (!s->connected)
        log_event(LOG_ERROR, "Postgres is out of reach", LOG_STR, "postgres", address, LOG_STR,
                  "error", s->error, LOG_END);
    else
        log_event(LOG_ERROR, "The database cannot be looked at", LOG_STR, "postgres", address,
                  LOG_STR, "error", s->error, LOG_END);
    return EXIT_FAILED;
}

int init_run(const struct config *config)
{
    struct init s = {.config = config};
    int status = EXIT_FAILED;
    if (set_up(&s) != 0) {
        log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
    } else {
        timer_after_us(s.limit, CONNECT_US);
        pg_link_start(s.link);
        if (loop_run(s.servers.loop) != 0)
            log_event(LOG_ERROR, "The event loop failed", LOG_END);
        else
            status = conclude(&s);
    }
    pg_link_free(s.link);
    timer_free(s.limit);
    json_decref(s.documents);
    servers_close(&s.servers);
    return status;
}
