/* What becomes in Redis of a claimed reservation whose outcome is known. */
#include "sweep/settlement.h"

#include "base/backoff.h"
#include "base/time_units.h"
#include "release/failed_record.h"
#include "release/kept_record.h"
#include "release/release.h"

#include <assert.h>

#define UNTRIED_MS 250 /* for those that there was no time for */

static const struct settlement forget = {.verdict = DUE_FORGET, .reason = RESCHEDULE_REASONS};

static struct settlement put_back(int64_t at_ms, enum reschedule_reason reason)
{
    return (struct settlement){.verdict = DUE_PUT_BACK, .at_ms = at_ms, .reason = reason};
}

/* Extended, or the hint was early. It heals what had been refused, since somebody changed it. */
static struct settlement not_due(const struct item *item, int64_t now_ms)
{
    if (item->expires_us == INT64_MAX) /* active without an expiry: nothing to wait for */
        return forget;
    int64_t at_ms = ms_rounded_up(item->expires_us);
    bool extended = at_ms > item->claimed_ms + 1; /* 1 ms: its score was rounded down */
    struct settlement s = put_back(at_ms > now_ms ? at_ms : now_ms + 1,
                                   extended ? RESCHEDULE_EXTENDED : RESCHEDULE_NOT_DUE);
    /* It was this sweeper that extended it: what is known of it stays. */
    if (item->kept.due_ms != at_ms)
        s.verdict = DUE_HEALED_PUT_BACK;
    return s;
}

static struct settlement locked(const struct item *item, int64_t now_ms)
{
    /* 0: it failed together with others, on a lock of one of them. */
    int64_t delay_ms =
        item->due_us == 0 ? UNTRIED_MS : backoff_locked_us(now_ms * MS_US - item->due_us) / MS_US;
    return put_back(now_ms + delay_ms, RESCHEDULE_LOCKED);
}

/* Extended, it is due again; else it is looked at again. */
static struct settlement kept(const struct item *item, int64_t now_ms,
                              const struct queue_keep *keep)
{
    struct settlement s = put_back(kept_again_ms(&item->kept, now_ms, keep), RESCHEDULE_REASONS);
    s.verdict = DUE_KEPT;
    return s;
}

static struct settlement failed(enum due_verdict verdict, int64_t delay_us, int64_t now_ms)
{
    struct settlement s = put_back(now_ms + delay_us / MS_US, RESCHEDULE_FAILED);
    s.verdict = verdict;
    return s;
}

struct settlement settlement_of(const struct item *item, int64_t now_ms,
                                const struct queue_keep *keep)
{
    switch (item->outcome) {
    case OUTCOME_RELEASED:
    case OUTCOME_INACTIVE:
    case OUTCOME_MISSING:
    case OUTCOME_INVALID:
        return forget;
    case OUTCOME_NOT_DUE:
        return not_due(item, now_ms);
    case OUTCOME_KEPT:
        return kept(item, now_ms, keep);
    case OUTCOME_LOCKED:
        return locked(item, now_ms);
    case OUTCOME_FAILED:
        return failed(DUE_FAILED, backoff_refused_us(item_attempts(item)), now_ms);
    case OUTCOME_DEFERRED: /* it would be refused: to be found in the same place */
        return failed(DUE_DEFERRED, item->wait_us, now_ms);
    case OUTCOME_UNTRIED:
        return put_back(now_ms + UNTRIED_MS, RESCHEDULE_REASONS);
    case OUTCOME_FAULT:
        return put_back(now_ms + SETTLEMENT_FAULT_MS, RESCHEDULE_REASONS);
    case OUTCOME_NONE:
    case OUTCOME_UNKNOWN: /* a repeat is harmless: whoever can asks again */
        return put_back(now_ms, RESCHEDULE_REASONS);
    }
    assert(false && "an outcome that there is not");
    return forget;
}

char *settlement_record(const struct item *item, const struct settlement *s, int64_t now_ms)
{
    return s->verdict == DUE_KEPT ? kept_record_make(&item->kept, s->at_ms)
                                  : failed_record_make(item, now_ms, s->at_ms);
}
