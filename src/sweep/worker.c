/* A worker: claim -> release -> settle, one batch at a time. */
#include "worker.h"

#include "backoff.h"
#include "batch.h"
#include "config.h"
#include "due_queue.h"
#include "log.h"
#include "loop.h"
#include "pg_link.h"
#include "release.h"
#include "statements.h"
#include "sweep.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_US (5 * 1000000)
#define BACKOFF_MIN_US (50 * 1000)
#define BACKOFF_MAX_US (5 * 1000000)
#define FAULT_REST_US (1000 * 1000) /* after an error that is the server's: no hammering */
#define UNTRIED_MS 250              /* for those that had no turn */

enum worker_state { WORKER_IDLE, WORKER_CLAIMING, WORKER_RELEASING, WORKER_SETTLING };

struct worker {
    struct sweep *sweep;
    struct worker_events events;
    struct pg_link *link;
    struct batch *batch;
    struct timer *rest; /* armed: resting after a fault; its end pokes */
    enum worker_state state;
    bool abandoned; /* settled from under a batch that has not answered */

    struct item *items;
    size_t n;
    int64_t lease_ms;
    int64_t put_back_ms;
};

static void on_statements(void *arg, const char *error)
{
    struct worker *w = arg;
    if (!pg_link_up(w->link)) /* says nothing of the database: asked again when it is back */
        return;
    snprintf(w->sweep->unusable, sizeof(w->sweep->unusable), "%s", error != NULL ? error : "");
    if (error != NULL) {
        log_event(LOG_ERROR, "The database cannot be used as it is", LOG_STR, "error", error,
                  LOG_END);
        timer_after_us(w->rest, FAULT_REST_US * 5);
    }
    w->events.on_link(w->events.arg, w);
}

/* The first worker to be connected reads the catalog for all. */
static void ensure_statements(struct worker *w)
{
    if (!pg_link_up(w->link) || pg_link_busy(w->link) || statements_ready(w->sweep->statements) ||
        statements_loading(w->sweep->statements))
        return;
    if (statements_load(w->sweep->statements, w->link, &w->sweep->pg_clock, on_statements, w) != 0)
        timer_after_us(w->rest, FAULT_REST_US);
}

static void on_pg_state(void *arg, bool up, const char *reason)
{
    struct worker *w = arg;
    (void)reason;
    if (up)
        ensure_statements(w);
    w->events.on_link(w->events.arg, w);
}

static void on_rest_over(void *arg)
{
    struct worker *w = arg;
    ensure_statements(w);
    w->events.on_link(w->events.arg, w);
}

struct worker *worker_new(struct sweep *sweep, const struct worker_events *events, int number)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    char name[64];
    snprintf(name, sizeof(name), "reservation-sweeper worker %d", number);
    const struct pg_link_options link = {
        .conninfo = sweep->config->conninfo,
        .application_name = name,
        .connect_timeout_us = CONNECT_TIMEOUT_US,
        .backoff_min_us = BACKOFF_MIN_US,
        .backoff_max_us = BACKOFF_MAX_US,
        .on_state = on_pg_state,
        .arg = w,
    };
    w->sweep = sweep;
    w->events = *events;
    w->link = pg_link_new(sweep->loop, &link);
    w->rest = timer_new(sweep->loop, on_rest_over, w);
    const struct batch_options batch = {
        .loop = sweep->loop,
        .link = w->link,
        .statements = sweep->statements,
        .clock = &sweep->pg_clock,
        .skips = sweep->skips,
        .stats = &sweep->stats,
        .running = &sweep->batches,
        .lock_timeout_us = sweep->config->lock_timeout_us,
        .statement_timeout_us = sweep_statement_timeout_us(sweep->config),
    };
    w->batch = batch_new(&batch);
    if (w->link == NULL || w->rest == NULL || w->batch == NULL) {
        worker_free(w);
        return NULL;
    }
    return w;
}

static void clear_items(struct worker *w)
{
    for (size_t i = 0; i < w->n; i++)
        item_clear(&w->items[i]);
    free(w->items);
    w->items = NULL;
    w->n = 0;
}

void worker_free(struct worker *w)
{
    if (w == NULL)
        return;
    pg_link_free(w->link);
    batch_free(w->batch);
    timer_free(w->rest);
    clear_items(w);
    free(w);
}

void worker_start(struct worker *w)
{
    pg_link_start(w->link);
}

bool worker_idle(const struct worker *w)
{
    return w->state == WORKER_IDLE;
}

bool worker_ready(const struct worker *w)
{
    return w->state == WORKER_IDLE && !w->abandoned && pg_link_up(w->link) &&
           !pg_link_busy(w->link) && !timer_armed(w->rest) &&
           statements_ready(w->sweep->statements) && w->sweep->pg_clock.known;
}

bool worker_link_up(const struct worker *w)
{
    return pg_link_up(w->link);
}

const char *worker_link_error(const struct worker *w)
{
    return pg_link_last_error(w->link);
}

uint64_t worker_reconnects(const struct worker *w)
{
    return pg_link_reconnects(w->link);
}

static void go_idle(struct worker *w)
{
    if (!w->abandoned) /* else the batch still holds them */
        clear_items(w);
    w->state = WORKER_IDLE;
    w->events.on_idle(w->events.arg, w, w->put_back_ms);
}

static void on_settled(void *arg, size_t lost, const char *error)
{
    struct worker *w = arg;
    if (error != NULL)
        log_event(LOG_WARN, "A settlement had no answer from Redis; the lease covers it", LOG_STR,
                  "error", error, LOG_INT, "reservations", (int64_t)w->n, LOG_END);
    else if (lost > 0)
        log_event(LOG_WARN, "Leases had passed to another sweeper before they were settled",
                  LOG_INT, "reservations", (int64_t)lost, LOG_END);
    go_idle(w);
}

static void put_back(struct worker *w, struct due_settlement *to, enum due_verdict verdict,
                     int64_t at_ms)
{
    to->verdict = verdict;
    to->at_ms = at_ms;
    if (at_ms < w->put_back_ms)
        w->put_back_ms = at_ms;
}

static void settle_not_due(struct worker *w, const struct item *item, struct due_settlement *to,
                           int64_t now_ms)
{
    if (item->expires_us == INT64_MAX) { /* active without an expiry: nothing to wait for */
        to->verdict = DUE_FORGET;
        return;
    }
    int64_t at_ms = (item->expires_us + 999) / 1000;
    bool extended = at_ms > item->score_ms + 1; /* 1 ms apart: a score that was rounded down */
    w->sweep->stats.rescheduled[extended ? RESCHEDULE_EXTENDED : RESCHEDULE_NOT_DUE]++;
    put_back(w, to, DUE_HEALED_PUT_BACK, at_ms > now_ms ? at_ms : now_ms + 1);
}

static void settle_locked(struct worker *w, const struct item *item, struct due_settlement *to,
                          int64_t now_ms)
{
    /* 0: its transaction failed on a lock, so that nobody said how late it is. */
    int64_t delay_ms = item->expires_us == 0
                           ? UNTRIED_MS
                           : backoff_locked_us(now_ms * 1000 - item->expires_us) / 1000;
    w->sweep->stats.rescheduled[RESCHEDULE_LOCKED]++;
    put_back(w, to, DUE_PUT_BACK, now_ms + delay_ms);
}

static void settle_failed(struct worker *w, struct item *item, struct due_settlement *to,
                          int64_t now_ms)
{
    item->attempts++;
    int64_t retry_ms = now_ms + backoff_refused_us(item->attempts) / 1000;
    w->sweep->stats.rescheduled[RESCHEDULE_FAILED]++;
    free(item->record);
    item->record = sweep_failed_record(item, now_ms, retry_ms);
    to->record = item->record;
    put_back(w, to, to->record != NULL ? DUE_FAILED : DUE_PUT_BACK, retry_ms);
}

/* What becomes of one item in Redis. */
static void settlement_of(struct worker *w, struct item *item, struct due_settlement *to,
                          int64_t now_ms)
{
    *to = (struct due_settlement){.id = item->id, .id_len = item->id_len, .verdict = DUE_FORGET};
    switch (item->outcome) {
    case OUTCOME_RELEASED:
    case OUTCOME_SETTLED:
    case OUTCOME_MISSING:
    case OUTCOME_INVALID:
        break;
    case OUTCOME_NOT_DUE:
        settle_not_due(w, item, to, now_ms);
        break;
    case OUTCOME_LOCKED:
        settle_locked(w, item, to, now_ms);
        break;
    case OUTCOME_FAILED:
        settle_failed(w, item, to, now_ms);
        break;
    case OUTCOME_UNTRIED:
        put_back(w, to, DUE_PUT_BACK, now_ms + UNTRIED_MS);
        break;
    case OUTCOME_FAULT:
        put_back(w, to, DUE_PUT_BACK, now_ms + FAULT_REST_US / 1000);
        break;
    case OUTCOME_NONE:
    case OUTCOME_UNKNOWN: /* a repeat is harmless: whoever can asks again */
        put_back(w, to, DUE_PUT_BACK, item->score_ms);
        break;
    }
}

static void settle(struct worker *w)
{
    struct due_settlement *settlements = calloc(w->n + 1, sizeof(*settlements));
    int64_t now_us = server_clock_now_us(&w->sweep->pg_clock);
    w->state = WORKER_SETTLING;
    int rc = -1;
    if (settlements != NULL) {
        for (size_t i = 0; i < w->n; i++) {
            settlement_of(w, &w->items[i], &settlements[i], now_us / 1000);
            sweep_account(w->sweep, &w->items[i], now_us);
        }
        rc = due_queue_settle(w->sweep->queue, w->lease_ms, settlements, w->n, on_settled, w);
        free(settlements);
    }
    if (rc != 0) /* Redis is away: the lease covers them, and the scan at its return */
        go_idle(w);
}

static void on_batch_done(void *arg)
{
    struct worker *w = arg;
    if (w->abandoned) { /* already settled and idle */
        w->abandoned = false;
        clear_items(w);
        return;
    }
    sweep_note_batch(w->sweep, w->items, w->n);
    for (size_t i = 0; i < w->n; i++) {
        if (w->items[i].outcome == OUTCOME_FAULT) {
            /* A column may have been renamed, a type changed: read the catalog anew. */
            statements_forget(w->sweep->statements);
            timer_after_us(w->rest, FAULT_REST_US);
            break;
        }
    }
    settle(w);
}

/* Copies what was claimed; -1 when memory ran out (the lease covers it). */
static int take(struct worker *w, const struct due_claimed *claimed)
{
    w->items = calloc(claimed->n, sizeof(struct item));
    if (w->items == NULL)
        return -1;
    for (; w->n < claimed->n; w->n++) {
        const struct due_claim *c = &claimed->claims[w->n];
        struct item *item = &w->items[w->n];
        if (item_init(item, c->id, c->id_len) != 0)
            return -1;
        item->score_ms = c->score_ms;
        item->taken_over = c->taken_over;
        if (c->taken_over)
            w->sweep->stats.rescheduled[RESCHEDULE_LEASE_EXPIRED]++;
        if (c->failed != NULL)
            sweep_read_failed_record(item, c->failed, c->failed_len);
    }
    return 0;
}

static void note_sizes(struct sweep *sweep, const struct due_claimed *claimed)
{
    int64_t rested_ms = server_clock_now_us(&sweep->pg_clock) / 1000 + 2 * FAULT_REST_US / 1000;
    sweep->sizes = claimed->sizes;
    sweep->sizes_us = claimed->received_us;
    /* What met the fault is not there any more: it was bought or cancelled. */
    if (claimed->n == 0 && claimed->sizes.inflight == 0 && claimed->sizes.next_ms > rested_ms)
        sweep->fault_since_us = 0;
}

static void on_claimed(void *arg, const struct due_claimed *claimed, const char *error)
{
    struct worker *w = arg;
    struct worker_claim_result result = {.next_ms = INT64_MAX};
    bool beside = w->sweep->config->workers > 1;
    w->put_back_ms = INT64_MAX;
    if (claimed == NULL) {
        log_event(LOG_DEBUG, "A claim had no answer", LOG_STR, "error", error, LOG_END);
    } else {
        result.ok = true;
        result.n = claimed->n;
        result.full = claimed->n >= claimed->asked;
        result.next_ms = claimed->sizes.next_ms;
        /* More in flight than ours: another sweeper is at work beside us. */
        beside = beside || claimed->sizes.inflight > (int64_t)claimed->n;
        w->lease_ms = claimed->lease_ms;
        note_sizes(w->sweep, claimed);
        server_clock_sample(&w->sweep->redis_clock, claimed->sizes.redis_us, claimed->sent_us,
                            claimed->received_us);
        if (claimed->n > 0 && take(w, claimed) != 0) {
            log_event(LOG_ERROR, "Out of memory: what was claimed is left to its lease", LOG_END);
            clear_items(w);
        }
    }
    if (w->n > 0) {
        w->state = WORKER_RELEASING;
        batch_run(w->batch, w->items, w->n, result.full && beside, on_batch_done, w);
    } else {
        w->state = WORKER_IDLE;
    }
    w->events.on_claimed(w->events.arg, w, &result);
    if (w->state == WORKER_IDLE)
        w->events.on_idle(w->events.arg, w, INT64_MAX);
}

int worker_claim(struct worker *w)
{
    assert(worker_ready(w));
    int64_t now_ms = server_clock_now_us(&w->sweep->pg_clock) / 1000;
    int64_t lease_ms = now_ms + w->sweep->config->lease_us / 1000;
    if (due_queue_claim(w->sweep->queue, now_ms, lease_ms, w->sweep->config->batch_size, on_claimed,
                        w) != 0)
        return -1;
    w->state = WORKER_CLAIMING;
    return 0;
}

void worker_abandon(struct worker *w)
{
    if (w->state != WORKER_RELEASING)
        return;
    w->abandoned = true;
    for (size_t i = 0; i < w->n; i++) /* decided or not, their COMMIT has not been accounted for */
        w->items[i].outcome = OUTCOME_UNKNOWN;
    settle(w);
}
