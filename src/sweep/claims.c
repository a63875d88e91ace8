/* Claim -> release -> settle: see claims.h. */
#include "sweep/claims.h"

#include "base/few.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "queue/due_queue.h"
#include "release/account.h"
#include "release/breakers.h"
#include "release/engine.h"
#include "release/failed_record.h"
#include "release/keeps.h"
#include "release/parts.h"
#include "release/refusal_log.h"
#include "release/release.h"
#include "store/statements.h"
#include "sweep/settlement.h"
#include "sweep/workers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What one claim brought. */
struct hand {
    TAILQ_ENTRY(hand) others;
    struct item *items;
    size_t n;
    struct due_texts *texts; /* the items' ids */
    struct due_lease leases[DUE_QUEUE_LEASES_MAX];
    size_t n_leases;
    bool bulk;
    bool abandoned; /* it was settled from under a batch that has not answered */
};

TAILQ_HEAD(hands, hand);

struct claims {
    struct parts *parts;
    struct engine *engine;
    struct claims_events events;
    struct source source;
    struct hands waiting;  /* for a lane; the oldest first */
    struct hands released; /* by lanes, at present */
    bool asking;           /* a claim has no answer yet */
    int64_t asked_ms;      /* when it was made, by Postgres's clock */
    size_t settling;       /* settlements without an answer */
    int64_t put_back_ms;   /* the earliest of what those put back */
    struct few lost_said;  /* leases that had passed */
    struct few odd_said;   /* what was no batch */
};

/* ---- what a claim brought ---- */

static void hand_free(struct hand *hand)
{
    for (size_t i = 0; i < hand->n; i++)
        item_clear(&hand->items[i]);
    free(hand->items);
    due_texts_free(hand->texts);
    free(hand);
}

static void free_all(struct hands *hands)
{
    struct hand *hand;
    while ((hand = TAILQ_FIRST(hands)) != NULL) {
        TAILQ_REMOVE(hands, hand, others);
        hand_free(hand);
    }
}

static void read_claim(struct claims *c, struct item *item, const struct due_claim *claim)
{
    item_borrow(item, claim->id, claim->id_len);
    item->claimed_ms = c->asked_ms;
    item->recorded = claim->failed != NULL || claim->kept != NULL;
    if (claim->taken_over)
        c->parts->stats.rescheduled[RESCHEDULE_LEASE_EXPIRED]++;
    /* Before its time: somebody has asked for it (lua/retry.lua), and may have removed the cause.
     */
    if (claim->failed != NULL &&
        failed_record_read(item, claim->failed, claim->failed_len) > c->asked_ms)
        breakers_forget(c->parts->breakers);
    keeps_tell(c->parts->keeps, item, claim->kept, claim->kept_len);
}

/* Keeps what was claimed; NULL when memory ran out (the leases cover it). */
static struct hand *hand_new(struct claims *c, struct due_claimed *claimed)
{
    struct hand *hand = calloc(1, sizeof(*hand));
    struct item *items = malloc(claimed->n * sizeof(*items));
    if (hand == NULL || items == NULL) {
        free(hand);
        free(items);
        return NULL;
    }
    hand->items = items;
    hand->n = claimed->n;
    hand->texts = claimed->texts;
    claimed->texts = NULL;
    memcpy(hand->leases, claimed->leases, sizeof(hand->leases));
    hand->n_leases = claimed->n_leases;
    hand->bulk = claimed->n >= claimed->asked;
    for (size_t i = 0; i < claimed->n; i++)
        read_claim(c, &items[i], &claimed->claims[i]);
    return hand;
}

static int64_t now_ms(const struct claims *c)
{
    return server_clock_now_us(&c->parts->pg_clock) / MS_US;
}

/* ---- settling ---- */

/* With a lease that is too short it is so with each settlement. */
static void log_lost(struct claims *c, size_t lost)
{
    if (!few_may(&c->lost_said, clock_mono_us()))
        return;
    log_event(LOG_WARN, "Leases had passed to another sweeper before they were settled", LOG_INT,
              "reservations", (int64_t)lost, LOG_INT, "timesNotSaid", (int64_t)c->lost_said.more,
              LOG_END);
    c->lost_said.more = 0;
}

static void on_settled(void *arg, size_t n, size_t lost, const char *error)
{
    struct claims *c = arg;
    if (error != NULL)
        log_event(LOG_DEBUG, "A settlement had no answer from Redis; the lease covers it", LOG_STR,
                  "error", error, LOG_INT, "reservations", (int64_t)n, LOG_END);
    else if (lost > 0)
        log_lost(c, lost);
    assert(c->settling > 0);
    if (--c->settling == 0)
        c->put_back_ms = INT64_MAX;
    c->events.on_settled(c->events.arg);
}

static void settle_item(struct claims *c, struct item *item, struct due_settlement *to,
                        int64_t at_ms)
{
    const struct settlement s = settlement_of(item, at_ms, &c->parts->config->queue->keep);
    *to = (struct due_settlement){.id = item->id,
                                  .id_len = item->id_len,
                                  .verdict = s.verdict,
                                  .recorded = item->recorded,
                                  .at_ms = s.at_ms};
    if (s.verdict >= DUE_FAILED) {
        free(item->record);
        item->record = settlement_record(item, &s, at_ms);
        to->record = item->record;
        to->verdict = item->record != NULL ? s.verdict : DUE_PUT_BACK;
        to->since_ms = item->kept.attention ? item->kept.since_ms : 0;
    }
    if (s.reason != RESCHEDULE_REASONS)
        c->parts->stats.rescheduled[s.reason]++;
    if (item->outcome == OUTCOME_DEFERRED && item->first_failed_ms == 0)
        refusal_log_deferred(c->parts->refusal_log, item); /* it had no record in :failed yet */
    if (s.verdict != DUE_FORGET && s.at_ms < c->put_back_ms)
        c->put_back_ms = s.at_ms;
}

static void settle(struct claims *c, const struct hand *hand)
{
    assert(hand->n > 0);
    struct due_settlement *settlements = malloc(hand->n * sizeof(*settlements));
    int64_t at_ms = now_ms(c);
    if (settlements == NULL)
        return; /* the leases cover them */
    for (size_t i = 0; i < hand->n; i++)
        settle_item(c, &hand->items[i], &settlements[i], at_ms);
    /* Redis is away: the leases cover them, and the scan at its return. */
    if (due_queue_settle(c->parts->queue, hand->leases, hand->n_leases, settlements, on_settled,
                         c) == 0)
        c->settling++;
    else if (c->settling == 0)
        c->put_back_ms = INT64_MAX;
    free(settlements);
}

static void settle_unknown(struct claims *c, struct hand *hand)
{
    for (size_t i = 0; i < hand->n; i++)
        hand->items[i].outcome = OUTCOME_UNKNOWN;
    settle(c, hand);
}

/* One that waits no more. */
static void hand_back(struct claims *c, struct hand *hand)
{
    settle_unknown(c, hand);
    hand_free(hand);
}

/* ---- the engine's source ---- */

/* When the first of its leases ends. */
static int64_t lease_ms(const struct hand *hand)
{
    int64_t first_ms = hand->leases[0].lease_ms;
    for (size_t i = 1; i < hand->n_leases; i++)
        if (hand->leases[i].lease_ms < first_ms)
            first_ms = hand->leases[i].lease_ms;
    return first_ms;
}

/* What has so little of its lease left that it might end under the batch goes back. */
static bool take(void *arg, struct work *work)
{
    struct claims *c = arg;
    struct hand *hand;
    while ((hand = TAILQ_FIRST(&c->waiting)) != NULL) {
        TAILQ_REMOVE(&c->waiting, hand, others);
        if (lease_ms(hand) - now_ms(c) < c->parts->config->lease_us / MS_US / 2) {
            hand_back(c, hand);
            continue;
        }
        TAILQ_INSERT_TAIL(&c->released, hand, others);
        work->items = hand->items;
        work->n = hand->n;
        work->bulk = hand->bulk;
        return true;
    }
    return false;
}

static struct hand *find(const struct claims *c, const struct work *work)
{
    struct hand *hand;
    TAILQ_FOREACH(hand, &c->released, others)
    {
        if (hand->items == work->items)
            return hand;
    }
    return NULL;
}

static bool met_fault(const struct hand *hand)
{
    for (size_t i = 0; i < hand->n; i++)
        if (hand->items[i].outcome == OUTCOME_FAULT)
            return true;
    return false;
}

static void done(void *arg, const struct work *work)
{
    struct claims *c = arg;
    struct hand *hand = find(c, work);
    assert(hand != NULL);
    TAILQ_REMOVE(&c->released, hand, others);
    if (!hand->abandoned) {
        account_decided(c->parts, hand->items, hand->n, server_clock_now_us(&c->parts->pg_clock));
        if (met_fault(hand)) {
            statements_doubt(c->parts->statements); /* a right was taken away, say */
            engine_rest(c->engine, work->lane, WORKERS_FAULT_REST_US);
        }
        settle(c, hand);
    }
    hand_free(hand);
}

/* ---- claiming ---- */

static void note_sizes(struct parts *parts, const struct due_claimed *claimed)
{
    int64_t rested_ms = (server_clock_now_us(&parts->pg_clock) + 2 * WORKERS_FAULT_REST_US) / MS_US;
    parts_note_sizes(parts, &claimed->sizes, claimed->sent_us, claimed->received_us);
    if (claimed->n == 0 && claimed->sizes.inflight == 0 && claimed->sizes.next_ms > rested_ms)
        account_nothing_left(parts);
}

static void note_odd(struct claims *c, size_t odd)
{
    if (odd == 0)
        return;
    c->parts->stats.discarded[DISCARD_INVALID] += odd;
    if (!few_may(&c->odd_said, clock_mono_us()))
        return;
    log_event(LOG_WARN, "A member of leases in Redis is no claimed batch: it was removed", LOG_INT,
              "timesNotSaid", (int64_t)c->odd_said.more, LOG_END);
    c->odd_said.more = 0;
}

static void on_claimed(void *arg, struct due_claimed *claimed, const char *error)
{
    struct claims *c = arg;
    struct claim_result result = {.next_ms = INT64_MAX};
    c->asking = false;
    if (claimed == NULL) {
        log_event(LOG_DEBUG, "A claim had no answer", LOG_STR, "error", error, LOG_END);
    } else {
        result = (struct claim_result){.ok = true,
                                       .n = claimed->n,
                                       .asked = claimed->asked,
                                       .due_left = claimed->due_left,
                                       .next_ms = claimed->sizes.next_ms};
        note_sizes(c->parts, claimed);
        note_odd(c, claimed->odd);
        c->parts->stats.claims += claimed->n > 0;
        struct hand *hand = claimed->n > 0 ? hand_new(c, claimed) : NULL;
        if (hand != NULL)
            TAILQ_INSERT_TAIL(&c->waiting, hand, others);
        else if (claimed->n > 0)
            log_event(LOG_ERROR, "Out of memory: what was claimed is left to its lease", LOG_END);
    }
    engine_poke(c->engine);
    c->events.on_claimed(c->events.arg, &result);
}

int claims_ask(struct claims *c)
{
    assert(!c->asking && c->parts->pg_clock.known);
    int64_t at_ms = now_ms(c);
    if (due_queue_claim(c->parts->queue, at_ms, at_ms + c->parts->config->lease_us / MS_US,
                        c->parts->config->batch_size, on_claimed, c) != 0)
        return -1;
    c->asking = true;
    c->asked_ms = at_ms;
    return 0;
}

/* ---- the whole ---- */

struct claims *claims_new(struct parts *parts, struct engine *engine,
                          const struct claims_events *events)
{
    struct claims *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->parts = parts;
    c->engine = engine;
    c->events = *events;
    c->put_back_ms = INT64_MAX;
    TAILQ_INIT(&c->waiting);
    TAILQ_INIT(&c->released);
    c->source = (struct source){.take = take, .done = done, .arg = c};
    engine_add(engine, &c->source);
    return c;
}

void claims_free(struct claims *c)
{
    if (c == NULL)
        return;
    engine_remove(c->engine, &c->source);
    free_all(&c->waiting);
    free_all(&c->released);
    free(c);
}

int claims_waiting(const struct claims *c)
{
    int n = 0;
    for (const struct hand *h = TAILQ_FIRST(&c->waiting); h != NULL; h = TAILQ_NEXT(h, others))
        n++;
    return n;
}

int64_t claims_put_back_ms(const struct claims *c)
{
    return c->put_back_ms;
}

bool claims_idle(const struct claims *c)
{
    const struct hand *hand;
    TAILQ_FOREACH(hand, &c->released, others)
    {
        if (!hand->abandoned)
            return false;
    }
    return !c->asking && c->settling == 0 && TAILQ_EMPTY(&c->waiting);
}

void claims_hand_back(struct claims *c)
{
    struct hand *hand;
    while ((hand = TAILQ_FIRST(&c->waiting)) != NULL) {
        TAILQ_REMOVE(&c->waiting, hand, others);
        hand_back(c, hand);
    }
}

void claims_abandon(struct claims *c)
{
    struct hand *hand;
    claims_hand_back(c);
    TAILQ_FOREACH(hand, &c->released, others)
    {
        if (hand->abandoned)
            continue;
        hand->abandoned = true;
        settle_unknown(c, hand); /* decided or not, their COMMIT has not been accounted for */
    }
}
