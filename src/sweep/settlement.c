/* What becomes in Redis of a reservation whose outcome is known. */
#include "sweep/settlement.h"

#include "base/backoff.h"
#include "base/time_units.h"
#include "queue/due_queue.h"
#include "release/parts.h"
#include "release/release.h"
#include "release/stats.h"

#include <stdlib.h>

#define UNTRIED_MS 250 /* for those that had no turn */

static void put_back(struct due_settlement *to, enum due_verdict verdict, int64_t at_ms)
{
    to->verdict = verdict;
    to->at_ms = at_ms;
}

static void settle_not_due(struct stats *stats, const struct item *item, struct due_settlement *to,
                           int64_t now_ms)
{
    if (item->expires_us == INT64_MAX) { /* active without an expiry: nothing to wait for */
        to->verdict = DUE_FORGET;
        return;
    }
    int64_t at_ms = ms_rounded_up(item->expires_us);
    bool extended = at_ms > item->score_ms + 1; /* 1 ms apart: a score that was rounded down */
    stats->rescheduled[extended ? RESCHEDULE_EXTENDED : RESCHEDULE_NOT_DUE]++;
    put_back(to, DUE_HEALED_PUT_BACK, at_ms > now_ms ? at_ms : now_ms + 1);
}

static void settle_locked(struct stats *stats, const struct item *item, struct due_settlement *to,
                          int64_t now_ms)
{
    /* 0: it failed together with others, on a lock of one of them. */
    int64_t delay_ms =
        item->due_us == 0 ? UNTRIED_MS : backoff_locked_us(now_ms * MS_US - item->due_us) / MS_US;
    stats->rescheduled[RESCHEDULE_LOCKED]++;
    put_back(to, DUE_PUT_BACK, now_ms + delay_ms);
}

static void settle_failed(struct stats *stats, struct item *item, struct due_settlement *to,
                          int64_t now_ms)
{
    if (item->outcome == OUTCOME_FAILED)
        item->attempts++;
    int64_t delay_us =
        item->outcome == OUTCOME_FAILED ? backoff_refused_us(item->attempts) : item->wait_us;
    int64_t retry_ms = now_ms + delay_us / MS_US;
    stats->rescheduled[RESCHEDULE_FAILED]++;
    free(item->record);
    item->record = failed_record_make(item, now_ms, retry_ms);
    to->record = item->record;
    put_back(to, to->record != NULL ? DUE_FAILED : DUE_PUT_BACK, retry_ms);
}

void settlement_of(struct stats *stats, struct item *item, struct due_settlement *to,
                   int64_t now_ms)
{
    *to = (struct due_settlement){.id = item->id, .id_len = item->id_len, .verdict = DUE_FORGET};
    switch (item->outcome) {
    case OUTCOME_RELEASED:
    case OUTCOME_INACTIVE:
    case OUTCOME_MISSING:
    case OUTCOME_INVALID:
        break;
    case OUTCOME_NOT_DUE:
        settle_not_due(stats, item, to, now_ms);
        break;
    case OUTCOME_LOCKED:
        settle_locked(stats, item, to, now_ms);
        break;
    case OUTCOME_FAILED:
    case OUTCOME_DEFERRED: /* not tried, since it would be refused: to be found in the same place */
        settle_failed(stats, item, to, now_ms);
        break;
    case OUTCOME_UNTRIED:
        put_back(to, DUE_PUT_BACK, now_ms + UNTRIED_MS);
        break;
    case OUTCOME_FAULT:
        put_back(to, DUE_PUT_BACK, now_ms + SETTLEMENT_FAULT_MS);
        break;
    case OUTCOME_NONE:
    case OUTCOME_UNKNOWN: /* a repeat is harmless: whoever can asks again */
        put_back(to, DUE_PUT_BACK, item->score_ms);
        break;
    }
}
