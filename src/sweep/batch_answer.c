/* What Postgres's answer means for a batch: outcomes, and what is tried again in which way. */
#include "batch_private.h"
#include "clock.h"
#include "log.h"
#include "loop.h"
#include "stats.h"

#include <stdlib.h>
#include <string.h>

#define RETRIES 3 /* of the same transaction after a serialization failure */

/* After two hurries that waited in vain, one after the other: checkouts hold counters for long, and
 * others would wait for those that the next hurry holds meanwhile. Doubled each time. */
#define POLITE_MIN_US (250 * 1000)
#define POLITE_MAX_US (4 * 1000000)

static void halve(struct batch *b)
{
    struct range r = b->current;
    batch_push(b, r.first + r.n / 2, r.n - r.n / 2, r.tries);
    batch_push(b, r.first, r.n / 2, r.tries);
}

static void blame(struct batch *b, struct item *item, enum blame_kind reason)
{
    if (b->asked) {
        blames_refused(b->options.blames, item, reason, clock_mono_us());
    } else {
        b->suspect = item;
        b->reason = reason;
    }
}

static void refused(struct batch *b, const struct release_result *result)
{
    struct range r = b->current;
    b->wonder = b->wonder || b->stage == STAGE_FRESH;
    if (r.n > 1) {
        halve(b);
        return;
    }
    struct item *item = b->order[r.first];
    /* An id that the server's encoding cannot express names no row there. */
    if (strcmp(result->sqlstate, "22P05") == 0 || strcmp(result->sqlstate, "22021") == 0) {
        item->outcome = OUTCOME_INVALID;
        return;
    }
    item->outcome = OUTCOME_FAILED;
    memcpy(item->sqlstate, result->sqlstate, strnlen(result->sqlstate, 5) + 1);
    free(item->error);
    item->error = strdup(result->message);
    if (b->stage == STAGE_FRESH) /* what was refused before says nothing new */
        blame(b, item, blames_kind(result));
}

/* What was released speaks for its products. */
static void acquit(struct batch *b)
{
    for (size_t i = 0; i < b->current.n && b->asked; i++) {
        const struct item *item = b->order[b->current.first + i];
        if (item->outcome == OUTCOME_RELEASED)
            blames_released(b->options.blames, item);
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
        batch_push(b, r.first + decided, r.n - decided, 1);
}

static void log_server_fault(const struct release_result *result)
{
    log_event(LOG_ERROR, "Postgres cannot release at present", LOG_STR, "sqlstate",
              result->sqlstate, LOG_STR, "error", result->message, LOG_END);
}

/* What failed in a hurry says little: a lock, or a reservation that was flipped in part. */
static bool blames_hurry(const struct batch *b, enum release_fault fault)
{
    return batch_way(b) == RELEASE_HURRIED &&
           (fault == RELEASE_ROW || fault == RELEASE_RETRY || fault == RELEASE_SLOW);
}

static void be_polite(struct batch *b)
{
    int64_t pause_us = b->in_vain < 1 ? 0 : POLITE_MIN_US << (b->in_vain - 1);
    b->polite_until_us = clock_mono_us() + pause_us;
    if (pause_us < POLITE_MAX_US)
        b->in_vain++;
}

void batch_on_released(void *arg, const struct release_result *result)
{
    struct batch *b = arg;
    struct range r = b->current;
    if (blames_hurry(b, result->fault)) {
        batch_push(b, r.first, r.n, 1);
        if (result->fault != RELEASE_ROW)
            be_polite(b);
        timer_after_us(b->next, 0);
        return;
    }
    switch (result->fault) {
    case RELEASE_OK:
        if (batch_way(b) == RELEASE_HURRIED)
            b->in_vain = 0;
        acquit(b);
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
        if (r.tries + 1 < RETRIES && b->stage != STAGE_PATIENCE)
            batch_push(b, r.first, r.n, r.tries + 1);
        else
            batch_mark(b, r.first, r.n, OUTCOME_LOCKED);
        break;
    case RELEASE_SLOW: /* a lock that does not come, or too much at once */
        if (r.n > 1 && b->stage != STAGE_PATIENCE)
            halve(b);
        else
            batch_mark(b, r.first, r.n, OUTCOME_LOCKED);
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
    case RELEASE_SERVER:
        log_server_fault(result);
        batch_mark(b, r.first, r.n, OUTCOME_FAULT);
        batch_give_up(b, OUTCOME_FAULT);
        break;
    }
    timer_after_us(b->next, 0);
}
