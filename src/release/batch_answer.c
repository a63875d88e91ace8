/* What an answer of Postgres means for the range that was tried: see batch.h. */
#include "release/batch_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/outage.h"
#include "base/time_units.h"
#include "release/stats.h"
#include "store/statements.h"

#include <stdlib.h>
#include <string.h>

/* After two hurries that waited in vain, one after the other: checkouts hold counters for long, and
 * others would wait for those that the next hurry holds meanwhile. Doubled each time. */
#define POLITE_MIN_US (250 * MS_US)
#define POLITE_MAX_US (4 * SECOND_US)

static void halve(struct batch *b, enum manner manner)
{
    struct range r = b->current;
    batch_push(b, r.first + r.n / 2, r.n - r.n / 2, manner);
    batch_push(b, r.first, r.n / 2, manner);
}

static void blame(struct batch *b, struct item *item, enum blame_kind reason)
{
    if (b->asked) {
        breakers_refused(b->options.breakers, item, reason, clock_mono_us());
    } else {
        b->suspect = item;
        b->reason = reason;
    }
}

static void keep_error(struct item *item, const struct release_result *result)
{
    memcpy(item->sqlstate, result->sqlstate, strnlen(result->sqlstate, 5) + 1);
    free(item->error);
    item->error = strdup(result->message);
}

/* An id that the server's encoding cannot express names no row there. If it can, that is something
 * of its row: the next step asks for it as bytes. */
static void unspeakable(struct batch *b, struct item *item)
{
    struct statements *s = b->options.statements;
    bool plain = true;
    for (size_t i = 0; i < item->id_len; i++)
        plain = plain && (unsigned char)item->id[i] < 0x80;
    if ((plain || item->from_postgres) && statements_ready(s) && !statements_types(s)->bytes)
        statements_use_bytes(s);
    else
        item->outcome = OUTCOME_INVALID;
}

static void refused(struct batch *b, const struct release_result *result)
{
    struct range r = b->current;
    b->wonder = true; /* for the blame, and for the log */
    if (r.n > 1) {
        halve(b, r.manner);
        return;
    }
    struct item *item = b->order[r.first];
    if (statements_unspeakable(result->sqlstate)) {
        unspeakable(b, item);
        return;
    }
    item->outcome = OUTCOME_FAILED;
    keep_error(item, result);
    if (item->attempts == 0) /* what was refused before says nothing new */
        blame(b, item, breakers_kind(result));
}

/* What was released speaks for the statement, and for its products. */
static void acquit(struct batch *b)
{
    for (size_t i = 0; i < b->current.n; i++) {
        const struct item *item = b->order[b->current.first + i];
        if (item->outcome != OUTCOME_RELEASED)
            continue;
        b->works = true;
        if (b->asked)
            breakers_released(b->options.breakers, item);
    }
}

/* What a hurried release did not decide is left for a polite one. */
static void leave_to_politeness(struct batch *b)
{
    struct range r = b->current;
    size_t decided = 0;
    for (size_t i = 0; i < r.n; i++) {
        struct item *item = b->order[r.first + i];
        if (item->outcome == OUTCOME_NONE)
            continue;
        b->order[r.first + i] = b->order[r.first + decided];
        b->order[r.first + decided++] = item;
    }
    if (decided < r.n)
        batch_push(b, r.first + decided, r.n - decided, MANNER_POLITE);
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

static void server_fault(struct batch *b, const struct release_result *result)
{
    log_fault(b->options.fault, result->sqlstate, result->message);
    batch_mark(b, b->current.first, b->current.n, OUTCOME_FAULT);
    batch_give_up(b, OUTCOME_FAULT);
}

/* Halved down to a single one, once; what stands beside that is tried as it is. So a fault of the
 * statement's costs some twenty attempts, not two for each reservation. */
static void doubt(struct batch *b, const struct release_result *result)
{
    struct range r = b->current;
    if (r.n > 1 && !b->doubted) {
        halve(b, r.manner);
        return;
    }
    batch_mark(b, r.first, r.n, OUTCOME_FAULT);
    keep_error(b->order[r.first], result);
    b->doubted = true;
}

bool batch_settle_doubt(struct batch *b)
{
    size_t i = 0;
    b->doubted = false;
    while (b->order[i]->outcome != OUTCOME_FAULT)
        i++;
    if (!b->works) {
        log_fault(b->options.fault, b->order[i]->sqlstate, b->order[i]->error);
        batch_give_up(b, OUTCOME_FAULT);
        return false;
    }
    while (i < b->fresh) {
        size_t n = 0;
        for (; i + n < b->fresh && b->order[i + n]->outcome == OUTCOME_FAULT; n++)
            b->order[i + n]->outcome = OUTCOME_NONE;
        if (n > 0)
            batch_push(b, i, n, MANNER_POLITE);
        i += n > 0 ? n : 1;
    }
    return true;
}

/* The statement's fault, or a row's: a trigger of the API's may raise any error. It is a row's when
 * another was released by the same statement, or when it was refused before. */
static void either_fault(struct batch *b, const struct release_result *result)
{
    if (!statements_ready(b->options.statements)) /* whoever reads the catalog next says why */
        batch_give_up(b, OUTCOME_FAULT);
    else if (b->works || b->stage == STAGE_PROBES)
        refused(b, result);
    else if (b->stage == STAGE_FRESH)
        doubt(b, result);
    else
        server_fault(b, result);
}

/* What the current range belongs to. */
static struct conflicts *conflicts_of(struct batch *b)
{
    size_t first = b->current.first;
    return first >= b->free && first < b->fresh ? &b->known_met : &b->first_met;
}

static void mark_locked(struct batch *b, size_t first, size_t n, enum lock lock)
{
    batch_mark(b, first, n, OUTCOME_LOCKED);
    for (size_t i = first; i < first + n; i++)
        b->order[i]->lock = lock;
}

/* A lock was met inside the release: whose it is is searched for. */
static void conflict(struct batch *b)
{
    struct range r = b->current;
    if (b->stage == STAGE_PATIENCE) { /* they are locked already, by a counter */
        batch_mark(b, r.first, r.n, OUTCOME_LOCKED);
        return;
    }
    switch (conflicts_met(conflicts_of(b), r.n, clock_mono_us())) {
    case CONFLICT_REPEAT:
        batch_push(b, r.first, r.n, r.manner);
        break;
    case CONFLICT_HALVE:
        halve(b, MANNER_SEARCH);
        break;
    case CONFLICT_LEAVE:
        mark_locked(b, r.first, r.n, r.n == 1 ? LOCK_INSIDE : LOCK_AMONG);
        break;
    }
}

void batch_settle_conflicts(struct batch *b)
{
    if (b->first_met.passed || b->first_met.failures == 0)
        return;
    for (size_t i = 0; i < b->free; i++)
        if (b->order[i]->outcome == OUTCOME_LOCKED && b->order[i]->lock == LOCK_AMONG)
            b->order[i]->lock = LOCK_INSIDE;
}

/* What failed in a hurry says little: a lock, or a reservation that was flipped in part. */
static bool blames_hurry(const struct batch *b, enum release_fault fault)
{
    return batch_way(b) == RELEASE_BULK && (fault == RELEASE_ROW || fault == RELEASE_EITHER ||
                                            fault == RELEASE_RETRY || fault == RELEASE_SLOW);
}

static void be_polite(struct batch *b)
{
    int64_t pause_us = b->in_vain < 1 ? 0 : POLITE_MIN_US << (b->in_vain - 1);
    b->polite_until_us = clock_mono_us() + pause_us;
    if (pause_us < POLITE_MAX_US)
        b->in_vain++;
}

/* After a column's type has changed, the functions that a trigger calls fail so until the session
 * ends (PostgreSQL manual, "Plan Caching"): "type of parameter 1 does not match that when preparing
 * the plan", "cached plan must not change result type". */
static bool is_outdated(const char *sqlstate)
{
    return strcmp(sqlstate, "42804") == 0 || strcmp(sqlstate, "0A000") == 0;
}

void batch_answer(struct batch *b, const struct release_result *result)
{
    struct range r = b->current;
    b->outdated = b->outdated || is_outdated(result->sqlstate);
    if (blames_hurry(b, result->fault)) {
        batch_push(b, r.first, r.n, MANNER_POLITE);
        if (result->fault == RELEASE_RETRY || result->fault == RELEASE_SLOW)
            be_polite(b);
        return;
    }
    switch (result->fault) {
    case RELEASE_OK:
        fault_is_over(b->options.fault);
        b->proved = true;
        if (batch_way(b) == RELEASE_BULK)
            b->in_vain = 0;
        acquit(b);
        conflicts_passed(conflicts_of(b));
        leave_to_politeness(b);
        b->options.stats->batches++;
        stats_observe(&b->options.stats->batch_size, (double)r.n);
        stats_observe(&b->options.stats->batch_s,
                      (double)(result->received_us - result->sent_us) / 1e6);
        break;
    case RELEASE_ROW:
        refused(b, result);
        break;
    case RELEASE_RETRY:
        conflict(b);
        break;
    case RELEASE_SLOW: /* too much at once, or a trigger that takes its time: locks end sooner */
        if (b->stage == STAGE_PATIENCE)
            batch_mark(b, r.first, r.n, OUTCOME_LOCKED);
        else
            refused(b, result);
        break;
    case RELEASE_UNKNOWN:
        b->options.stats->unknown_commits += r.n;
        batch_mark(b, r.first, r.n, OUTCOME_UNKNOWN);
        batch_give_up(b, OUTCOME_UNKNOWN);
        break;
    case RELEASE_GONE:
        batch_mark(b, r.first, r.n, OUTCOME_UNKNOWN);
        batch_give_up(b, OUTCOME_UNKNOWN);
        break;
    case RELEASE_STALE: /* the next step arranges all of them anew */
        batch_push(b, r.first, r.n, r.manner);
        break;
    case RELEASE_EITHER:
        either_fault(b, result);
        break;
    case RELEASE_SERVER:
        server_fault(b, result);
        break;
    }
}
