/* Sends what the plan of a batch (plan.h) says is to be tried next, and feeds the answers back. */
#include "release/batch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/outage.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "release/blockers.h"
#include "release/commit_wait.h"
#include "release/plan.h"
#include "release/products.h"
#include "release/stats.h"
#include "store/ask.h"
#include "store/pg_watch.h"
#include "store/statements.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LOST_US (30 * SECOND_US) /* beyond a statement's time; a resolver may block the loop */

struct batch {
    struct batch_options options;
    struct plan *plan;
    struct timer *next; /* takes the next step on a later turn */
    bool running;
    LIST_ENTRY(batch) others; /* while running */
    int64_t deadline_us;      /* monotonic: of the step in hand */
    size_t sent;              /* how many items are in it */
    bool may_not_wait;        /* for the disk */
    int64_t server_us;        /* when the server was started that was met last; 0: none was */
    uint64_t connection;      /* ... over which of the link's */
    bool outdated;            /* the session may keep plans of a former table */
    event_cb *done;
    void *arg;
};

static void step(void *arg);

struct batch *batch_new(const struct batch_options *options)
{
    struct batch *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    b->options = *options;
    const struct plan_options plan = {
        .counter_waits = options->counter_waits,
        .breakers = options->breakers,
        .locked = options->locked,
        .lock_timeout_us = options->lock_timeout_us,
        .bulk_lock_timeout_us = options->bulk_lock_timeout_us,
        .careful = options->careful,
    };
    b->plan = plan_new(&plan);
    b->next = timer_new(options->loop, step, b);
    if (b->plan == NULL || b->next == NULL) {
        batch_free(b);
        return NULL;
    }
    return b;
}

void batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    if (b->running)
        LIST_REMOVE(b, others);
    timer_free(b->next);
    plan_free(b->plan);
    free(b);
}

int64_t batch_deadline_us(const struct batch_list *running)
{
    const struct batch *b;
    int64_t earliest_us = INT64_MAX;
    LIST_FOREACH(b, running, others)
    {
        if (b->deadline_us < earliest_us)
            earliest_us = b->deadline_us;
    }
    return earliest_us;
}

static void set_deadline(struct batch *b)
{
    b->deadline_us = clock_mono_us() + 2 * b->options.statement_timeout_us + LOST_US;
}

static struct plan_table table_of(const struct batch *b)
{
    const struct statements *s = b->options.statements;
    if (!statements_ready(s))
        return (struct plan_table){.ready = false};
    const struct mapping_types *types = statements_types(s);
    return (struct plan_table){
        .ready = true,
        .generation = statements_generation(s),
        .id_kind = types->id_kind,
        .bulk = mapping_allows_bulk(types),
        .backlog = mapping_allows_backlog(types),
        .bytes = types->bytes,
        .limited = types->queue->nalso > 0 || types->queue->keep.condition.text != NULL,
    };
}

/* It is met again each second by each worker. */
static void log_fault(struct outage *fault, const char *sqlstate, const char *error)
{
    enum outage_say say = outage_on(fault, error != NULL ? error : sqlstate, true, clock_mono_us());
    if (say == OUTAGE_WARN || say == OUTAGE_ERROR)
        log_event(LOG_ERROR, "Postgres cannot release at present", LOG_STR, "sqlstate", sqlstate,
                  LOG_STR, "error", error, LOG_INT, "faultSeconds", fault->lasted_us / SECOND_US,
                  LOG_END);
}

static void fault_is_over(struct outage *fault)
{
    if (outage_off(fault, clock_mono_us()) == OUTAGE_OVER)
        log_event(LOG_INFO, "Postgres can release again", LOG_INT, "faultSeconds",
                  fault->lasted_us / SECOND_US, LOG_END);
}

/* After a column's type has changed, the functions that a trigger calls fail so until the session
 * ends (PostgreSQL manual, "Plan Caching"): "type of parameter 1 does not match that when preparing
 * the plan", "cached plan must not change result type". */
static bool is_outdated(const char *sqlstate)
{
    return strcmp(sqlstate, "42804") == 0 || strcmp(sqlstate, "0A000") == 0;
}

static void finish(struct batch *b)
{
    const struct item *fault = plan_fault(b->plan);
    if (fault != NULL)
        log_fault(b->options.fault, fault->sqlstate, fault->error);
    b->running = false;
    LIST_REMOVE(b, others);
    if (b->outdated)
        pg_link_renew(b->options.link,
                      "the session was ended: it may keep plans of a table that has changed");
    b->done(b->arg);
}

static void count(struct stats *stats, const struct release_result *result, size_t n)
{
    if (result->fault == RELEASE_UNKNOWN)
        stats->unknown_commits += n;
    if (result->fault != RELEASE_OK)
        return;
    stats->batches++;
    stats_observe(&stats->batch_size, (double)n);
    stats_observe(&stats->batch_s, (double)(result->received_us - result->sent_us) / 1e6);
}

/* A pooler goes on with the same connection after a failover; a new connection has told already. */
static void note_server(struct batch *b, int64_t server_us)
{
    uint64_t connection = pg_link_reconnects(b->options.link);
    bool moved = b->server_us != 0 && b->connection == connection && b->server_us != server_us;
    b->server_us = server_us;
    b->connection = connection;
    if (moved)
        pg_watch_moved(b->options.pg_watch, server_us);
}

/* No error, and no connection that was lost: it hangs. */
static bool is_silent(const struct batch *b, const struct release_result *result)
{
    return result->fault == RELEASE_UNKNOWN &&
           result->received_us - result->sent_us >= b->options.statement_timeout_us;
}

static void on_released(void *arg, const struct release_result *result)
{
    struct batch *b = arg;
    const struct plan_table table = table_of(b);
    count(b->options.stats, result, b->sent);
    if (result->fault == RELEASE_OK) {
        fault_is_over(b->options.fault);
        note_server(b, result->server_us);
    } else if (result->fault == RELEASE_BUSY || is_silent(b, result)) {
        blockers_suspect(b->options.blockers);
    }
    b->outdated = b->outdated || is_outdated(result->sqlstate);
    if (plan_answer(b->plan, result, &table, clock_mono_us()))
        statements_use_bytes(b->options.statements);
    timer_soon(b->next);
}

static void on_products(void *arg)
{
    struct batch *b = arg;
    plan_products(b->plan, clock_mono_us());
    timer_soon(b->next);
}

static void on_proof(void *arg, const struct pg_answer *answer)
{
    struct batch *b = arg;
    enum plan_proved proved = PLAN_PROOF_LOST;
    if (answer->status == PG_DONE)
        proved = PLAN_PROVED;
    else if (ask_is_stale(answer))
        proved = PLAN_PROOF_OUTDATED;
    else if (answer->status == PG_REFUSED)
        proved = PLAN_PROOF_REFUSED;
    plan_proof(b->plan, proved);
    timer_soon(b->next);
}

void batch_allow_no_wait(struct batch *b)
{
    b->may_not_wait = true;
}

static bool no_wait(const struct batch *b)
{
    if (!b->may_not_wait)
        return false;
    const char *own;
    enum pg_session session = pg_link_session(b->options.link, &own);
    enum commit_wait verdict = commit_wait_judge(b->options.synchronous_commit, session,
                                                 statements_types(b->options.statements));
    const char *notice = commit_wait_notice(verdict, own);
    if (notice != NULL && commit_wait_is_news(b->options.commit_notices, notice))
        log_event(LOG_INFO, "What SWEEPER_SYNCHRONOUS_COMMIT comes to", LOG_STR, "reason", notice,
                  LOG_END);
    return verdict == COMMIT_NO_WAIT || verdict == COMMIT_UNASKED;
}

/* Returns 0, or -1 when nothing was sent. */
static int send(struct batch *b, const struct plan_step *todo)
{
    struct pg_link *link = b->options.link;
    struct release_options options = {
        .statements = b->options.statements,
        .clock = b->options.clock,
        .lock_timeout_us = todo->lock_timeout_us,
        .longest_lock_us = b->options.lock_timeout_us,
        .statement_timeout_us = b->options.statement_timeout_us,
        .way = todo->way,
    };
    if (!statements_ready(b->options.statements))
        return -1;
    options.no_wait = no_wait(b);
    switch (todo->action) {
    case PLAN_RELEASE:
        if (todo->watch && blockers_watch(b->options.blockers, link, todo->items[0]->id))
            options.lock_timeout_us = b->options.lock_timeout_us;
        return release_send(link, &options, todo->items, todo->n, on_released, b);
    case PLAN_PRODUCTS:
        return products_ask(link, &options, todo->items, todo->n, on_products, b);
    case PLAN_PROOF:
        return release_ask(link, &options, STATEMENT_PRODUCTS, todo->items, 0, on_proof, b);
    case PLAN_DONE:
        break;
    }
    assert(false);
    return -1;
}

static void step(void *arg)
{
    struct batch *b = arg;
    const struct plan_table table = table_of(b);
    struct plan_step todo;
    set_deadline(b);
    plan_next(b->plan, &table, clock_mono_us(), &todo);
    b->sent = todo.n;
    if (todo.action == PLAN_DONE) {
        finish(b);
    } else if (send(b, &todo) != 0) {
        if (todo.action == PLAN_PRODUCTS) /* they stay unknown */
            plan_products(b->plan, clock_mono_us());
        else
            plan_unsent(b->plan);
        timer_soon(b->next);
    }
}

void batch_run(struct batch *b, struct item *items, size_t n, bool backlog, event_cb *done,
               void *arg)
{
    const struct plan_table table = table_of(b);
    assert(!b->running);
    b->running = true;
    LIST_INSERT_HEAD(b->options.running, b, others);
    b->done = done;
    b->arg = arg;
    b->outdated = false;
    set_deadline(b);
    if (plan_begin(b->plan, items, n, backlog, &table, clock_mono_us()) == 0 && n > 0)
        step(b); /* something is sent, or could not be: this does not end the batch */
    else
        timer_soon(b->next);
}
