/* What decided reservations mean for this process. */
#include "release/account.h"

#include "base/log.h"
#include "base/parse.h"
#include "release/announcer.h"
#include "release/keeps.h"
#include "release/locked.h"
#include "release/parts.h"
#include "release/refusal_log.h"
#include "release/release.h"

#include <stdio.h>

#define ODD_BYTES 64 /* of an id that is no text */

/* Named as the bytes that it is: no record could show it otherwise. */
static void name_odd_id(struct parts *s, const struct item *item)
{
    char bytes[2 * ODD_BYTES + 1] = "";
    if (item->id_len > ID_MAX_LEN || parse_id_valid(ID_TEXT, item->id, item->id_len) ||
        !few_may(&s->account.odd_said, clock_mono_us()))
        return;
    for (size_t i = 0; i < item->id_len && i < ODD_BYTES; i++)
        snprintf(bytes + 2 * i, 3, "%02x", (unsigned char)item->id[i]);
    log_event(LOG_WARN, "Released a reservation whose id is not UTF-8", LOG_STR, "reservationId",
              item->id, LOG_STR, "bytes", bytes, LOG_INT, "othersNotNamed",
              (int64_t)s->account.odd_said.more, LOG_END);
    s->account.odd_said.more = 0;
}

static void account_released(struct parts *s, const struct item *item, int64_t commit_us)
{
    s->stats.released++;
    s->stats.last_release_us = commit_us;
    announcer_released(s->announcer);
    units_add(&s->stats.released_units, &item->units);
    if (item->expires_us != INT64_MAX)
        stats_observe(&s->stats.lateness_s, (double)(commit_us - item->expires_us) / 1e6);
    name_odd_id(s, item);
    if (item->uncounted > 0) {
        s->stats.uncounted += item->uncounted;
        refusal_log_uncounted(s->refusal_log, item);
    }
}

static void account_invalid(struct parts *s, const struct item *item)
{
    s->stats.discarded[DISCARD_INVALID]++;
    if (!few_may(&s->account.invalid_said, clock_mono_us()))
        return;
    log_event(LOG_WARN, "An entry of Redis cannot be an id of this table: it was discarded",
              LOG_STR, "reservationId", item->id, LOG_INT, "othersNotNamed",
              (int64_t)s->account.invalid_said.more, LOG_END);
    s->account.invalid_said.more = 0;
}

static void account_item(struct parts *s, const struct item *item, int64_t commit_us)
{
    switch (item->outcome) {
    case OUTCOME_RELEASED:
        account_released(s, item, commit_us);
        break;
    case OUTCOME_INACTIVE:
        s->stats.discarded[DISCARD_INACTIVE]++;
        break;
    case OUTCOME_MISSING:
        s->stats.discarded[DISCARD_MISSING]++;
        break;
    case OUTCOME_INVALID:
        account_invalid(s, item);
        break;
    case OUTCOME_FAILED:
        stats_failed(&s->stats, item->sqlstate);
        refusal_log_failed(s->refusal_log, item);
        break;
    case OUTCOME_NONE: /* nothing has become of these yet, or others count it */
    case OUTCOME_NOT_DUE:
    case OUTCOME_KEPT:
    case OUTCOME_LOCKED:
    case OUTCOME_UNTRIED:
    case OUTCOME_DEFERRED:
    case OUTCOME_UNKNOWN:
    case OUTCOME_FAULT:
        break;
    }
}

/* Anything that Postgres decided shows that it works. */
static void note_fault(struct parts *s, const struct item *items, size_t n)
{
    bool fault = false;
    for (size_t i = 0; i < n; i++) {
        enum outcome outcome = items[i].outcome;
        if (outcome == OUTCOME_RELEASED || outcome == OUTCOME_INACTIVE ||
            outcome == OUTCOME_MISSING || outcome == OUTCOME_NOT_DUE || outcome == OUTCOME_KEPT ||
            outcome == OUTCOME_FAILED) {
            s->account.fault_since_us = 0;
            return;
        }
        fault = fault || outcome == OUTCOME_FAULT;
    }
    if (fault && s->account.fault_since_us == 0)
        s->account.fault_since_us = clock_mono_us();
}

void account_decided(struct parts *s, struct item *items, size_t n, int64_t now_us)
{
    const int64_t mono_us = clock_mono_us();
    for (size_t i = 0; i < n; i++) {
        locked_note(s->locked, &items[i], now_us, mono_us);
        keeps_note(s->keeps, &items[i], now_us, mono_us);
        account_item(s, &items[i], now_us);
    }
    note_fault(s, items, n);
}

void account_nothing_left(struct parts *s)
{
    s->account.fault_since_us = 0;
}
