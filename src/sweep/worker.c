/* A worker: claim -> release -> settle, one batch at a time. */
#include "sweep/worker.h"

#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "queue/due_queue.h"
#include "release/batch.h"
#include "release/failed_record.h"
#include "release/parts.h"
#include "release/refusal_log.h"
#include "release/release.h"
#include "store/pg_watch.h"
#include "store/statements.h"
#include "sweep/settlement.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MAX_US (5 * SECOND_US)
/* Then what met the fault is due again, and is tried together with what has come meanwhile: alone,
 * nobody can tell whose fault it is. */
#define FAULT_REST_US (SETTLEMENT_FAULT_MS * MS_US + 50 * MS_US)

/* What one claim brought. */
struct hand {
    struct item *items; /* NULL: nothing */
    size_t n;
    int64_t lease_ms; /* when the lease ends: the token of its settlement */
    bool hurry;
};

struct worker {
    struct parts *parts;
    int number; /* from 1 on */
    struct worker_events events;
    struct pg_link *link;
    struct batch *batch;
    struct timer *rest; /* armed: resting after a fault; its end pokes */

    struct hand now;     /* being released */
    struct hand next;    /* claimed ahead: released when `now` is done */
    bool claiming;       /* a claim has no answer yet */
    size_t settling;     /* settlements without an answer */
    bool abandoned;      /* `now` was settled from under a batch that has not answered */
    int64_t put_back_ms; /* the earliest of what the unanswered settlements put back */
};

static void on_statements(void *arg, const char *error)
{
    struct worker *w = arg;
    if (!pg_link_up(w->link)) /* says nothing of the database: asked again when it is back */
        return;
    parts_note_catalog(w->parts);
    if (error != NULL)
        timer_after_us(w->rest, FAULT_REST_US);
    w->events.on_link(w->events.arg, w);
}

/* Whoever comes first reads the catalog for all, when that is due. */
static void ensure_statements(struct worker *w)
{
    if (!pg_link_up(w->link) || pg_link_busy(w->link) ||
        statements_due_us(w->parts->statements) > clock_mono_us())
        return;
    if (statements_load(w->parts->statements, w->link, &w->parts->pg_clock, on_statements, w) != 0)
        timer_after_us(w->rest, FAULT_REST_US);
}

static void on_pg_state(void *arg, bool up, const char *reason)
{
    struct worker *w = arg;
    pg_watch_link(w->parts->pg_watch, w->number, up, reason);
    if (up) { /* the tables may have been changed meanwhile */
        statements_doubt(w->parts->statements);
        ensure_statements(w);
    }
    w->events.on_link(w->events.arg, w);
}

static void on_rest_over(void *arg)
{
    struct worker *w = arg;
    ensure_statements(w);
    w->events.on_link(w->events.arg, w);
}

struct worker *worker_new(struct parts *parts, const struct worker_events *events, int number)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    char name[64];
    snprintf(name, sizeof(name), "reservation-sweeper worker %d", number);
    const struct pg_link_options link = {
        .source = parts->postgres,
        .application_name = name,
        .backoff_max_us = BACKOFF_MAX_US,
        .on_state = on_pg_state,
        .arg = w,
    };
    w->parts = parts;
    w->number = number;
    w->events = *events;
    w->put_back_ms = INT64_MAX;
    w->link = pg_link_new(parts->loop, &link);
    w->rest = timer_new(parts->loop, on_rest_over, w);
    w->batch = w->link != NULL ? parts_batch_new(parts, w->link) : NULL;
    if (w->link == NULL || w->rest == NULL || w->batch == NULL) {
        worker_free(w);
        return NULL;
    }
    return w;
}

static void hand_clear(struct hand *hand)
{
    for (size_t i = 0; i < hand->n; i++)
        item_clear(&hand->items[i]);
    free(hand->items);
    *hand = (struct hand){.items = NULL};
}

void worker_free(struct worker *w)
{
    if (w == NULL)
        return;
    pg_link_free(w->link);
    batch_free(w->batch);
    timer_free(w->rest);
    hand_clear(&w->now);
    hand_clear(&w->next);
    free(w);
}

void worker_start(struct worker *w)
{
    pg_link_start(w->link);
}

bool worker_idle(const struct worker *w)
{
    return !w->claiming && w->settling == 0 && w->next.n == 0 && (w->now.n == 0 || w->abandoned);
}

static bool can_release(const struct worker *w)
{
    return pg_link_up(w->link) && !timer_armed(w->rest) && statements_ready(w->parts->statements);
}

static bool may_claim(const struct worker *w)
{
    return !w->claiming && w->next.n == 0 && !w->abandoned && can_release(w) &&
           w->parts->pg_clock.known;
}

bool worker_ready(const struct worker *w)
{
    return may_claim(w) && w->now.n == 0 && !pg_link_busy(w->link);
}

bool worker_ready_ahead(const struct worker *w)
{
    return may_claim(w) && w->now.n > 0;
}

void worker_follow_postgres(struct worker *w)
{
    pg_link_follow(w->link);
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

/* With a lease that is too short it is so with each settlement. */
static void log_lost(struct parts *s, size_t lost)
{
    if (!few_may(&s->lost_said, clock_mono_us()))
        return;
    log_event(LOG_WARN, "Leases had passed to another sweeper before they were settled", LOG_INT,
              "reservations", (int64_t)lost, LOG_INT, "timesNotSaid", (int64_t)s->lost_said.more,
              LOG_END);
    s->lost_said.more = 0;
}

static void on_settled(void *arg, size_t n, size_t lost, const char *error)
{
    struct worker *w = arg;
    int64_t put_back_ms = w->put_back_ms;
    if (error != NULL)
        log_event(LOG_DEBUG, "A settlement had no answer from Redis; the lease covers it", LOG_STR,
                  "error", error, LOG_INT, "reservations", (int64_t)n, LOG_END);
    else if (lost > 0)
        log_lost(w->parts, lost);
    if (--w->settling == 0)
        w->put_back_ms = INT64_MAX;
    w->events.on_settled(w->events.arg, w, put_back_ms);
}

static void settle_item(struct worker *w, struct item *item, struct due_settlement *to,
                        int64_t now_ms)
{
    const struct settlement s = settlement_of(item, now_ms);
    *to = (struct due_settlement){
        .id = item->id, .id_len = item->id_len, .verdict = s.verdict, .at_ms = s.at_ms};
    if (s.verdict == DUE_FAILED || s.verdict == DUE_DEFERRED) {
        free(item->record);
        item->record = failed_record_make(item, now_ms, s.at_ms);
        to->record = item->record;
        to->verdict = item->record != NULL ? s.verdict : DUE_PUT_BACK;
    }
    if (s.reason != RESCHEDULE_REASONS)
        w->parts->stats.rescheduled[s.reason]++;
    if (item->outcome == OUTCOME_DEFERRED && item->first_failed_ms == 0)
        refusal_log_deferred(w->parts->refusal_log, item); /* it had no record in :failed yet */
    if (s.verdict != DUE_FORGET && s.at_ms < w->put_back_ms)
        w->put_back_ms = s.at_ms;
}

static void settle(struct worker *w, const struct hand *hand)
{
    struct due_settlement *settlements = calloc(hand->n, sizeof(*settlements));
    int64_t now_us = server_clock_now_us(&w->parts->pg_clock);
    if (settlements == NULL)
        return; /* the lease covers them */
    for (size_t i = 0; i < hand->n; i++)
        settle_item(w, &hand->items[i], &settlements[i], now_us / MS_US);
    /* Redis is away: the lease covers them, and the scan at its return. */
    if (due_queue_settle(w->parts->queue, hand->lease_ms, settlements, hand->n, on_settled, w) == 0)
        w->settling++;
    free(settlements);
}

static void on_batch_done(void *arg);

/* Begins with what was claimed ahead; hands it back when it cannot be released, or when so much of
 * its lease is gone that it might end under the batch. */
static void start_next(struct worker *w)
{
    int64_t now_ms = server_clock_now_us(&w->parts->pg_clock) / MS_US;
    if (w->next.n == 0)
        return;
    if (!can_release(w) || w->next.lease_ms - now_ms < w->parts->config->lease_us / 2000) {
        worker_hand_back(w);
        return;
    }
    w->now = w->next;
    w->next = (struct hand){.items = NULL};
    batch_run(w->batch, w->now.items, w->now.n, w->now.hurry, on_batch_done, w);
}

static void on_batch_done(void *arg)
{
    struct worker *w = arg;
    if (w->abandoned) { /* already settled */
        w->abandoned = false;
        hand_clear(&w->now);
        return;
    }
    account_decided(w->parts, w->now.items, w->now.n, server_clock_now_us(&w->parts->pg_clock));
    for (size_t i = 0; i < w->now.n; i++) {
        if (w->now.items[i].outcome == OUTCOME_FAULT) {
            statements_doubt(w->parts->statements); /* a right was taken away, say */
            timer_after_us(w->rest, FAULT_REST_US);
            break;
        }
    }
    settle(w, &w->now);
    hand_clear(&w->now);
    start_next(w);
    if (w->now.n == 0)
        w->events.on_free(w->events.arg, w);
}

/* Copies what was claimed; -1 when memory ran out (the lease covers it). */
static int take(struct worker *w, const struct due_claimed *claimed)
{
    struct hand *hand = &w->next;
    hand->lease_ms = claimed->lease_ms;
    hand->hurry = claimed->n >= claimed->asked;
    hand->items = calloc(claimed->n, sizeof(struct item));
    if (hand->items == NULL)
        return -1;
    for (; hand->n < claimed->n; hand->n++) {
        const struct due_claim *c = &claimed->claims[hand->n];
        struct item *item = &hand->items[hand->n];
        if (item_init(item, c->id, c->id_len) != 0)
            return -1;
        item->score_ms = c->score_ms;
        item->taken_over = c->taken_over;
        if (c->taken_over)
            w->parts->stats.rescheduled[RESCHEDULE_LEASE_EXPIRED]++;
        if (c->failed != NULL)
            failed_record_read(item, c->failed, c->failed_len);
    }
    return 0;
}

static void note_sizes(struct parts *parts, const struct due_claimed *claimed)
{
    int64_t rested_ms = server_clock_now_us(&parts->pg_clock) / MS_US + 2 * FAULT_REST_US / MS_US;
    parts_note_sizes(parts, &claimed->sizes, claimed->sent_us, claimed->received_us);
    if (claimed->n == 0 && claimed->sizes.inflight == 0 && claimed->sizes.next_ms > rested_ms)
        account_nothing_left(parts);
}

static void on_claimed(void *arg, const struct due_claimed *claimed, const char *error)
{
    struct worker *w = arg;
    struct worker_claim_result result = {.next_ms = INT64_MAX};
    w->claiming = false;
    if (claimed == NULL) {
        log_event(LOG_DEBUG, "A claim had no answer", LOG_STR, "error", error, LOG_END);
    } else {
        result.ok = true;
        result.n = claimed->n;
        result.full = claimed->n >= claimed->asked;
        result.next_ms = claimed->sizes.next_ms;
        note_sizes(w->parts, claimed);
        if (claimed->n > 0 && take(w, claimed) != 0) {
            log_event(LOG_ERROR, "Out of memory: what was claimed is left to its lease", LOG_END);
            hand_clear(&w->next);
        }
    }
    if (w->now.n == 0)
        start_next(w);
    w->events.on_claimed(w->events.arg, w, &result);
}

int worker_claim(struct worker *w)
{
    assert(worker_ready(w) || worker_ready_ahead(w));
    int64_t now_ms = server_clock_now_us(&w->parts->pg_clock) / MS_US;
    int64_t lease_ms = now_ms + w->parts->config->lease_us / MS_US;
    if (due_queue_claim(w->parts->queue, now_ms, lease_ms, w->parts->config->batch_size, on_claimed,
                        w) != 0)
        return -1;
    w->claiming = true;
    return 0;
}

static void mark_unknown(struct hand *hand)
{
    for (size_t i = 0; i < hand->n; i++)
        hand->items[i].outcome = OUTCOME_UNKNOWN;
}

void worker_hand_back(struct worker *w)
{
    if (w->next.n == 0)
        return;
    mark_unknown(&w->next);
    settle(w, &w->next);
    hand_clear(&w->next);
}

void worker_abandon(struct worker *w)
{
    worker_hand_back(w);
    if (w->now.n == 0 || w->abandoned)
        return;
    w->abandoned = true;
    mark_unknown(&w->now); /* decided or not, their COMMIT has not been accounted for */
    settle(w, &w->now);
}
