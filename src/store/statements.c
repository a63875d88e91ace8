/* The statements for this database: reads the catalog, makes them anew when it has changed.
 *
 * The shop's tables may be changed at any moment: by a migration, a new policy, a table put in
 * place of another. Three things bring the statements up to date:
 * - A reading every minute (ANEW_US), for changes that fail no statement.
 * - A doubt, when a connection was made anew or a statement failed: one reading a second at most.
 * - A statement that fails as it would in a changed table (statements_suspect): ask.c reads the
 *   catalog at once, over the same connection.
 *
 * Several readings may be under way, over several connections. The one that was asked last counts:
 * an answer to an earlier question is out of date once a later one has been answered (read_us).
 *
 * What must hold: while `ready`, all texts are there, made from `catalog`, which `types` borrows
 * from, and all SQL of a queues file has been proved (fragment.h). Who keeps what was derived from
 * a text compares statements_generation, which is another number after each change, also when there
 * are no statements any more. */
#include "store/statements.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/queues.h"
#include "link/pg_link.h"
#include "store/also.h"
#include "store/catalog.h"
#include "store/fragment.h"
#include "store/sql_texts.h"
#include "store/statement_texts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CATALOG_DEADLINE_US (5 * SECOND_US)
#define AGAIN_US SECOND_US /* between two readings that something asks for */
#define ANEW_US MINUTE_US  /* ... and unasked: for changes that fail no statement */

struct statements {
    const struct queue *queue;
    bool ready;
    uint64_t generation;
    struct catalog *catalog;    /* what the texts were made for last; NULL: none were */
    struct mapping_types types; /* refers to it */
    struct statement_texts texts;
    char problem[PG_MESSAGE_SIZE];
    bool locked;        /* ... is that a table was locked at the proof */
    bool use_bytes;     /* whatever the catalog says of the encoding */
    int loading;        /* questions under way */
    int64_t asked_us;   /* the last question; monotonic, as all of these */
    int64_t read_us;    /* when that was asked whose answer counts */
    int64_t doubted_us; /* the last doubt */
};

/* One question to the catalog. */
struct load {
    struct statements *s;
    struct catalog *catalog; /* owned; what is asked for, then what the answer says */
    struct pg_link *link;
    struct server_clock *clock;
    int64_t asked_us;
    uint64_t generation; /* of the texts that it has made; 0: none */
    void (*done)(void *arg, const char *error);
    void *arg;
    char error[PG_MESSAGE_SIZE];
};

struct statements *statements_new(const struct queue *queue)
{
    struct statements *s = calloc(1, sizeof(*s));
    if (s != NULL)
        s->queue = queue;
    return s;
}

static void drop_texts(struct statements *s)
{
    statement_texts_clear(&s->texts);
    s->ready = false;
    s->generation++;
}

void statements_free(struct statements *s)
{
    if (s == NULL)
        return;
    drop_texts(s);
    free(s->catalog);
    free(s);
}

bool statements_ready(const struct statements *s)
{
    return s->ready;
}

uint64_t statements_generation(const struct statements *s)
{
    return s->generation;
}

const char *statements_problem(const struct statements *s)
{
    return s->problem;
}

bool statements_locked(const struct statements *s)
{
    return s->locked && s->problem[0] != '\0';
}

void statements_doubt(struct statements *s)
{
    s->doubted_us = clock_mono_us();
}

int64_t statements_due_us(const struct statements *s)
{
    if (s->loading > 0)
        return INT64_MAX;
    if (s->asked_us == 0)
        return 0;
    return s->asked_us + (s->ready && s->doubted_us <= s->read_us ? ANEW_US : AGAIN_US);
}

/* PostgreSQL manual, appendix A: undefined or mismatched names and types, missing rights, no such
 * schema. */
bool statements_suspect(const char *sqlstate)
{
    return strncmp(sqlstate, "42", 2) == 0 || strncmp(sqlstate, "3F", 2) == 0;
}

const char *statements_text(const struct statements *s, enum statement which)
{
    assert(s->ready && which < STATEMENT_COUNT);
    return s->texts.own[which];
}

const char *statements_also(const struct statements *s, int i)
{
    assert(s->ready && i < s->queue->nalso);
    return s->texts.also[i];
}

const char *statements_verify(const struct statements *s, int i)
{
    assert(s->ready && i < s->queue->nverify);
    return s->texts.verify[i];
}

const struct mapping_types *statements_types(const struct statements *s)
{
    assert(s->ready);
    return &s->types;
}

static int render(struct statements *s, struct load *load)
{
    drop_texts(s);
    if (statement_texts_make(&s->texts, &s->types, load->link) != 0) {
        snprintf(load->error, sizeof(load->error), "out of memory");
        drop_texts(s);
        return -1;
    }
    load->generation = s->generation;
    s->ready = s->queue->file == NULL;
    return 0;
}

/* Takes what the catalog says. -1: the database cannot be used so, or memory ran out. */
static int take(struct statements *s, struct load *load, const struct pg_result *r)
{
    struct mapping_types types;
    if (catalog_read(load->catalog, r) != 0) {
        snprintf(load->error, sizeof(load->error), "the catalog gave an unexpected answer");
        return -1;
    }
    s->read_us = load->asked_us;
    if (catalog_types(load->catalog, &types, load->error, sizeof(load->error)) != 0) {
        drop_texts(s);
        return -1;
    }
    also_read(load->catalog, &types);
    bool changed = s->catalog != NULL && catalog_changed(s->catalog, load->catalog);
    if (s->ready && !changed)
        return 0;
    free(s->catalog);
    s->catalog = load->catalog;
    load->catalog = NULL;
    s->types = types;
    if (s->use_bytes)
        mapping_use_bytes(&s->types);
    return render(s, load);
}

void statements_use_bytes(struct statements *s)
{
    log_event(LOG_WARN,
              "A text of the database has no form in UTF-8: texts travel as bytes from now on",
              LOG_END);
    s->use_bytes = true;
    s->generation++;
    mapping_use_bytes(&s->types);
}

bool statements_unspeakable(const char *sqlstate)
{
    return strcmp(sqlstate, "22P05") == 0 || strcmp(sqlstate, "22021") == 0;
}

static void load_free(struct load *load)
{
    free(load->catalog);
    free(load);
}

/* "time zone not recognized" is all that the question can be refused for by its parameters. */
#define SQLSTATE_PARAMETER "22023"
#define ZONES ": a name of pg_timezone_names is wanted, such as Europe/Berlin"

static void refuse(struct load *load, const struct pg_answer *answer)
{
    const struct queue *queue = load->s->queue;
    char *error = load->error;
    bool zone = strcmp(answer->sqlstate, SQLSTATE_PARAMETER) == 0;
    if (zone)
        queue_place(queue, queue->time_zone.line, error, sizeof(load->error));
    size_t used = strlen(error);
    snprintf(error + used, sizeof(load->error) - used, "%s%s", answer->message, zone ? ZONES : "");
}

static void conclude(struct load *load)
{
    load->s->loading--;
    load->done(load->arg, load->error[0] != '\0' ? load->error : NULL);
    load_free(load);
}

/* What SQL of the operator's there is has been proved, or is refused: without the proof nothing is
 * sent, and the next reading of the catalog makes the statements anew. */
static void on_proof(void *arg, const char *error, bool locked)
{
    struct load *load = arg;
    struct statements *s = load->s;
    if (error != NULL)
        snprintf(load->error, sizeof(load->error), "%s", error);
    if (s->generation == load->generation) {
        if (error != NULL)
            drop_texts(s);
        s->ready = error == NULL;
        s->locked = locked;
        memcpy(s->problem, load->error, sizeof(s->problem));
    }
    conclude(load);
}

static void on_catalog(void *arg, const struct pg_answer *answer)
{
    struct load *load = arg;
    struct statements *s = load->s;
    if (answer->status != PG_DONE) {
        refuse(load, answer);
    } else if (load->asked_us < s->read_us) { /* a later question was answered before */
        snprintf(load->error, sizeof(load->error), "%s", s->problem);
    } else if (take(s, load, answer->results[0]) == 0) {
        server_clock_sample(load->clock, catalog_clock_us(answer->results[0]), answer->sent_us,
                            answer->received_us);
    }
    if (load->generation != 0 && !s->ready) {
        if (fragment_prove(&s->types, load->link, on_proof, load) == 0)
            return;
        snprintf(load->error, sizeof(load->error), "out of memory, or the connection is lost");
        drop_texts(s);
    }
    if (answer->status == PG_DONE || (answer->status == PG_REFUSED && !s->ready)) {
        s->locked = s->locked && strcmp(s->problem, load->error) == 0;
        memcpy(s->problem, load->error, sizeof(s->problem));
    }
    conclude(load);
}

/* NULL: out of memory. */
static struct load *load_new(const struct queue *queue)
{
    struct load *load = calloc(1, sizeof(*load));
    if (load == NULL)
        return NULL;
    load->catalog = malloc(sizeof(*load->catalog));
    if (load->catalog != NULL && catalog_list(load->catalog, queue) == 0)
        return load;
    load_free(load);
    return NULL;
}

/* Sends what load->catalog lists. */
static int ask_catalog(struct load *load)
{
    const struct queue_table *table = &load->s->queue->table;
    char *tables = catalog_names(load->catalog, load->link, true);
    char *columns = catalog_names(load->catalog, load->link, false);
    char *deleted = load->s->queue->deletes ? mapping_table(table, load->link) : NULL;
    char *key = catalog_key(load->catalog);
    const char *params[] = {tables, columns, deleted, load->s->queue->time_zone.text, key};
    const struct pg_query query = {.sql = sql_catalog, .nparams = 5, .params = params};
    int rc = -1;
    if (tables != NULL && columns != NULL && key != NULL &&
        (deleted != NULL || !load->s->queue->deletes))
        rc = pg_link_send(load->link, &query, 1, CATALOG_DEADLINE_US, on_catalog, load);
    free(tables);
    free(columns);
    free(deleted);
    free(key);
    return rc;
}

int statements_load(struct statements *s, struct pg_link *link, struct server_clock *clock,
                    void (*done)(void *arg, const char *error), void *arg)
{
    struct load *load = load_new(s->queue);
    if (load == NULL)
        return -1;
    load->s = s;
    load->link = link;
    load->clock = clock;
    load->asked_us = clock_mono_us();
    load->done = done;
    load->arg = arg;
    if (ask_catalog(load) != 0) {
        load_free(load);
        return -1;
    }
    s->loading++;
    s->asked_us = load->asked_us;
    return 0;
}
