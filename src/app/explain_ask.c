/* Asks both servers why a reservation is not released (yet): one question after the other. What has
 * no answer stays unknown. */
#include "app/explain_ask_private.h"

#include "app/explain_read.h"
#include "base/parse.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "queue/pause_key.h"
#include "queue/repair.h"
#include "release/parts.h"
#include "release/pause.h"
#include "release/rehearsal.h"
#include "store/mapping.h"
#include "store/questions.h"
#include "store/statements.h"
#include "store/table_blocker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REHEARSAL_US (5 * SECOND_US)
#define QUESTION_US (5 * SECOND_US)

/* ---- Redis ---- */

static void on_lookup(void *arg, const struct due_state *states, size_t n, const char *error)
{
    struct explain_ask *a = arg;
    if (!desk_answered(&a->desk))
        return;
    a->facts.redis = error == NULL && n == 1;
    if (a->facts.redis)
        explain_read_redis(&a->facts, states);
    else
        snprintf(a->desk.redis_error, sizeof(a->desk.redis_error), "%s",
                 error != NULL ? error : "unexpected reply");
    desk_go_on(&a->desk);
}

static bool ask_entry(struct desk *d)
{
    struct explain_ask *a = explain_ask_of(d);
    const struct due_entry entry = {.id = a->id, .id_len = strlen(a->id)};
    return desk_has_redis(d) &&
           desk_asked(d, due_queue_lookup(d->parts->queue, &entry, 1, on_lookup, a));
}

static void on_feeder(void *arg, bool ours, int64_t remaining_ms, const char *owner,
                      const char *error)
{
    struct explain_ask *a = arg;
    struct explain_facts *f = &a->facts;
    (void)ours;
    (void)remaining_ms;
    if (!desk_answered(&a->desk))
        return;
    if (error == NULL) {
        snprintf(f->feeder, sizeof(f->feeder), "%s", owner);
        f->sweeper = owner[0] != '\0' ? EXPLAIN_YES : EXPLAIN_NO;
    }
    desk_go_on(&a->desk);
}

/* Somebody who polls for this queue. */
static bool ask_feeder(struct desk *d)
{
    return desk_has_redis(d) && explain_ask_of(d)->facts.sweeper == EXPLAIN_UNKNOWN &&
           desk_asked(d, due_queue_role_owner(d->parts->queue, "feeder", on_feeder, d));
}

static void on_pause(void *arg, const struct due_pause *pause, const char *error)
{
    struct explain_ask *a = arg;
    struct pause_record record;
    if (!desk_answered(&a->desk))
        return;
    if (error == NULL && pause->record.text != NULL &&
        pause_record_read(&record, pause->record.text, pause->record.len, 0))
        a->facts.pause = record;
    desk_go_on(&a->desk);
}

/* A daemon obeys the one that it has seen, whatever Redis has. */
static bool ask_pause(struct desk *d)
{
    struct explain_ask *a = explain_ask_of(d);
    const struct pause_record *lasting = pause_now(d->parts->pause);
    if (lasting != NULL)
        a->facts.pause = *lasting;
    return lasting == NULL && desk_has_redis(d) &&
           desk_asked(d, due_queue_paused(d->parts->queue, on_pause, a));
}

/* ---- Postgres ---- */

/* What is of use beside the holds: without an answer it stays unknown. */
static void on_read(void *arg, const struct pg_answer *answer)
{
    struct explain_ask *a = arg;
    struct explain_facts *f = &a->facts;
    if (!desk_answered(&a->desk))
        return;
    if (answer->status == PG_DONE)
        a->read(f, answer->results[answer->nresults - 1]);
    else if (a->read == explain_read_counters || a->read == explain_read_sums)
        snprintf(f->counters_error, sizeof(f->counters_error), "%s", answer->message);
    desk_go_on(&a->desk);
}

/* With the tables of the queue, quoted, and a third one as parameters. */
static bool ask_about_tables(struct desk *d, enum question_id which, const char *third,
                             void (*read)(struct explain_facts *f, const struct pg_result *r))
{
    const struct queue *q = d->parts->config->queue;
    char *holds = mapping_table(&q->table, d->link);
    char *counters = q->stock.nkeys > 0 ? mapping_table(&q->stock.table, d->link) : NULL;
    const char *params[] = {holds, counters, third};
    const struct pg_query query = {
        .sql = question_text(which), .nparams = third != NULL ? 3 : 2, .params = params};
    explain_ask_of(d)->read = read;
    bool sent =
        holds != NULL && desk_asked(d, pg_link_send(d->link, &query, 1, QUESTION_US, on_read, d));
    free(holds);
    free(counters);
    return sent;
}

static bool ask_table_locks(struct desk *d)
{
    return desk_has_postgres(d) &&
           ask_about_tables(d, QUESTION_TABLE_LOCKS, NULL, explain_read_table_locks);
}

/* Where nobody is the feeder: one that has just been started is none yet. */
static bool ask_feeds(struct desk *d)
{
    struct explain_ask *a = explain_ask_of(d);
    const struct pg_query query = {.sql = question_text(QUESTION_FEEDS)};
    a->read = explain_read_feeds;
    return desk_has_postgres(d) && a->facts.sweeper != EXPLAIN_YES &&
           desk_asked(d, pg_link_send(d->link, &query, 1, QUESTION_US, on_read, d));
}

static void on_holds(void *arg, const struct pg_answer *answer)
{
    struct explain_ask *a = arg;
    if (!desk_answered(&a->desk))
        return;
    memcpy(a->facts.sqlstate, answer->sqlstate, sizeof(a->facts.sqlstate));
    if (answer->status != PG_DONE)
        desk_lost_postgres(&a->desk, answer->message);
    else if (explain_read_holds(&a->facts, answer->results[1], answer->results[2]) != 0)
        desk_lost_postgres(&a->desk, "an unexpected answer");
    desk_go_on(&a->desk);
}

static bool ask_holds(struct desk *d)
{
    struct explain_ask *a = explain_ask_of(d);
    if (!desk_has_postgres(d))
        return false;
    const struct mapping_types *types = statements_types(d->parts->statements);
    a->facts.id_kind = explain_id_kind(types->id_kind);
    a->facts.rows_hidden = types->rows_hidden;
    a->facts.malformed = !parse_id_valid(types->id_kind, a->id, strlen(a->id));
    const char *params[] = {a->ids, a->names};
    const struct ask_query queries[] = {
        {.statement = STATEMENT_LOOKUP, .nparams = 1, .params = params},
        {.statement = STATEMENT_EXPLAIN_HOLDS, .nparams = 2, .params = params}};
    return !a->facts.malformed && desk_ask(d, queries, 2, on_holds);
}

/* Where the tables could not be read for a lock: one of a table that only the queue's SQL names, or
 * of which the SQL itself could not be proved. */
static bool ask_table_blocker(struct desk *d)
{
    struct explain_ask *a = explain_ask_of(d);
    const struct explain_facts *f = &a->facts;
    a->read = explain_read_table_locks;
    return (d->locked || table_blocker_suspect(f->sqlstate)) && !f->table_blocker.holder.known &&
           pg_link_up(d->link) &&
           desk_asked(d, table_blocker_ask(d->parts->config->queue, d->link, on_read, d));
}

/* One of the statements that are about its id alone. */
static bool ask_statement(struct desk *d, enum statement which,
                          void (*read)(struct explain_facts *f, const struct pg_result *r))
{
    const char *params[] = {explain_ask_of(d)->ids};
    const struct ask_query query = {.statement = which, .nparams = 1, .params = params};
    explain_ask_of(d)->read = read;
    return explain_is_active(d) && statements_text(d->parts->statements, which)[0] != '\0' &&
           desk_ask(d, &query, 1, on_read);
}

static bool ask_counters(struct desk *d)
{
    return ask_statement(d, STATEMENT_EXPLAIN_COUNTERS, explain_read_counters);
}

static bool ask_sums(struct desk *d)
{
    return ask_statement(d, STATEMENT_EXPLAIN_SUMS, explain_read_sums);
}

static bool ask_blockers(struct desk *d)
{
    return ask_statement(d, STATEMENT_BLOCKERS, explain_read_blockers);
}

static bool ask_standby(struct desk *d)
{
    struct explain_ask *a = explain_ask_of(d);
    const struct pg_query query = {.sql = question_text(QUESTION_STANDBY_WAIT)};
    a->read = explain_read_standby;
    return explain_is_active(d) &&
           desk_asked(d, pg_link_send(d->link, &query, 1, QUESTION_US, on_read, d));
}

static bool ask_guards(struct desk *d)
{
    return explain_is_active(d) &&
           ask_about_tables(d, QUESTION_GUARDS, d->parts->config->queue->deletes ? "t" : "f",
                            explain_read_guards);
}

/* ---- a rehearsal ---- */

static void on_rehearsed(void *arg, const struct rehearsal_result *result)
{
    struct explain_ask *a = arg;
    struct explain_rehearsal *r = &a->facts.rehearsal;
    const struct release_result *release = result->release;
    if (!desk_answered(&a->desk))
        return;
    bool refused = release->fault == RELEASE_ROW || release->fault == RELEASE_EITHER;
    r->outcome = REHEARSED_ELSE;
    if (release->fault == RELEASE_OK && a->item.outcome == OUTCOME_RELEASED)
        r->outcome = REHEARSED_RELEASED;
    if (release->fault != RELEASE_OK && release->sqlstate[0] != '\0')
        r->outcome = refused ? REHEARSED_REFUSED : REHEARSED_FAILED;
    snprintf(r->sqlstate, sizeof(r->sqlstate), "%s", release->sqlstate);
    snprintf(r->error, sizeof(r->error), "%s", release->message);
    desk_go_on(&a->desk);
}

static bool ask_rehearsal(struct desk *d)
{
    struct explain_ask *a = explain_ask_of(d);
    const struct explain_facts *f = &a->facts;
    const struct config *config = f->config;
    const struct release_options options = {.statements = d->parts->statements,
                                            .clock = &d->parts->pg_clock,
                                            .lock_timeout_us = config->lock_timeout_us,
                                            .longest_lock_us = config->lock_timeout_us,
                                            .statement_timeout_us = REHEARSAL_US,
                                            .way = RELEASE_CAREFUL};
    bool due = explain_is_active(d) && f->due_us <= f->now_us && !f->kept;
    if (!a->options.rehearse || !due || f->blocker.holder.known || f->table_blocker.holder.known ||
        f->standby.pid != 0)
        return false;
    item_borrow(&a->item, a->id, strlen(a->id));
    a->items[0] = &a->item;
    return desk_asked(
        d, rehearsal_send(d->link, &options, a->items, 1, config->queue->nalso, on_rehearsed, a));
}

/* ---- the whole ---- */

static void finish(struct desk *d)
{
    struct explain_ask *a = explain_ask_of(d);
    struct explain_facts *f = &a->facts;
    memcpy(f->postgres_error, d->postgres_error, sizeof(f->postgres_error));
    memcpy(f->redis_error, d->redis_error, sizeof(f->redis_error));
    f->unusable = d->unusable;
    f->locked = d->locked || strcmp(f->sqlstate, TABLE_BLOCKER_LOCK_WAIT) == 0;
    if (f->now_us == 0 && d->parts->pg_clock.known)
        f->now_us = server_clock_now_us(&d->parts->pg_clock);
    explain_own_first_run(a);
    a->options.done(a->options.arg, f);
}

static void free_ask(struct desk *d)
{
    struct explain_ask *a = explain_ask_of(d);
    item_clear(&a->item);
    free(a->id);
    free(a->ids);
    free(a->names);
    free(a);
}

struct explain_ask *explain_ask_new(const struct explain_ask_options *options)
{
    static desk_step *const steps[] = {ask_entry,
                                       ask_feeder,
                                       explain_ask_held,
                                       explain_ask_accepted,
                                       ask_pause,
                                       ask_feeds,
                                       ask_table_locks,
                                       ask_holds,
                                       ask_table_blocker,
                                       ask_counters,
                                       ask_sums,
                                       ask_blockers,
                                       ask_standby,
                                       ask_guards,
                                       explain_ask_first_run,
                                       ask_rehearsal};
    static const struct desk_work work = {.application = "reservation-sweeper explain",
                                          .steps = steps,
                                          .nsteps = sizeof(steps) / sizeof(steps[0]),
                                          .done = finish,
                                          .free = free_ask};
    struct explain_ask *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    const struct config *config = options->parts->config;
    a->options = *options;
    a->id = strdup(options->id);
    a->facts = (struct explain_facts){
        .config = config, .id = a->id, .sweeper = options->daemon ? EXPLAIN_YES : EXPLAIN_UNKNOWN};
    a->ids = explain_array(options->id);
    a->names = explain_names(config->queue->active.text);
    int rc = desk_open(&a->desk, options->parts, &work);
    if (rc == 0 && a->id != NULL && a->ids != NULL && a->names != NULL)
        return a;
    desk_close(&a->desk);
    return NULL;
}

void explain_ask_free(struct explain_ask *a)
{
    if (a != NULL)
        desk_close(&a->desk);
}
