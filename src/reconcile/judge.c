/* The judges of a reconciliation. */
#include "reconcile/judge.h"

#include "base/parse.h"
#include "base/time_units.h"
#include "reconcile/lookup.h"

#include <assert.h>
#include <jansson.h>

#define RETRY_WITHIN_MS (3600 * SECOND_MS) /* a record that says later is not believed */

/* ---- the first look ---- */

enum suspicion judge_row(const struct judge_times *t, int64_t expires_us, int64_t score_ms)
{
    if (score_ms != DUE_NOWHERE)
        return score_ms > ms_rounded_up(expires_us) ? SUSPECT_MISPLACED : SUSPECT_NOBODY;
    /* What lies beyond the look-ahead the feed has not read yet. */
    if (t->lookahead_us != 0 && expires_us > t->now_us + t->lookahead_us)
        return SUSPECT_NOBODY;
    return SUSPECT_MISSING;
}

int64_t judge_delay_us(const struct judge_times *t, int64_t expires_us, bool young)
{
    int64_t entered_us = expires_us - t->lookahead_us; /* from when on the feed reads it */
    if (t->lookahead_us == 0 || (!young && entered_us + 2 * t->feed_interval_us < t->now_us))
        return JUDGE_AGAIN_US;
    return 2 * t->feed_interval_us + JUDGE_AGAIN_US;
}

/* An entry that has been due for longer than a lease nobody looks at: no sweeper works here. */
static bool is_left(const struct judge_times *t, int64_t score_ms)
{
    return score_ms * MS_US < t->now_us - t->lease_us;
}

enum judged_entry judge_entry(const struct judge_times *t, int64_t score_ms,
                              const struct lookup *row)
{
    if (row->active)
        return ENTRY_FINE;
    return !row->found || is_left(t, score_ms) ? ENTRY_STALE : ENTRY_SPENT;
}

bool judge_lease(const struct judge_times *t, const struct due_text *score, int64_t *lease_ms)
{
    return parse_score_ms(score->text, score->len, lease_ms) == 0 && *lease_ms * MS_US < t->now_us;
}

/* ---- the second look: Redis ---- */

static bool is_there(const struct due_text *text)
{
    return text->text != NULL;
}

/* Its score, in whole milliseconds; false when there is none, or it is no number. */
static bool score_of(const struct due_text *text, int64_t *score_ms)
{
    return is_there(text) && parse_score_ms(text->text, text->len, score_ms) == 0;
}

bool judge_redis(enum suspicion what, int64_t first, const struct due_state *state,
                 struct judgement *j)
{
    bool entry = is_there(&state->pending), claim = is_there(&state->inflight);
    bool record = is_there(&state->record), kept = is_there(&state->kept);
    int64_t score_ms = 0;
    *j = (struct judgement){.finding = FINDINGS};
    switch (what) {
    case SUSPECT_MISSING:
        j->finding = FINDING_MISSING;
        return !entry && !claim && !record && !kept;
    case SUSPECT_MISPLACED: /* one with a record is to be tried at its own time */
        j->finding = FINDING_MISPLACED;
        j->seen = state->pending;
        return score_of(&state->pending, &score_ms) && score_ms > ms_rounded_up(first) && !claim &&
               !record && !kept;
    case SUSPECT_STALE:
        j->finding = FINDING_STALE;
        j->seen = state->pending;
        return entry && !claim;
    case SUSPECT_LEASE: /* the very lease that was met: another one is somebody's at work */
        j->finding = FINDING_LEASE;
        j->seen = state->inflight;
        return score_of(&state->inflight, &score_ms) && score_ms == first;
    case SUSPECT_RECORD:
        j->finding = entry ? FINDING_RECORD_STALE : FINDING_RECORD_UNSCHEDULED;
        j->seen = state->record;
        return record && !claim;
    case SUSPICIONS:
        break;
    }
    assert(false);
    return false;
}

/* ---- the second look: Postgres ---- */

/* When a refused one is to be tried again, as its record says; now when it does not. */
static int64_t retry_ms(const struct due_text *record, int64_t now_ms)
{
    json_t *o = json_loadb(record->text, record->len, 0, NULL);
    json_int_t at_ms = json_integer_value(json_object_get(o, "retryAt"));
    json_decref(o);
    return at_ms > 0 && at_ms < now_ms + RETRY_WITHIN_MS ? at_ms : now_ms;
}

bool judge_postgres(const struct judge_times *t, enum suspicion what, int64_t first,
                    const struct lookup *row, struct judgement *j)
{
    int64_t score_ms = 0;
    assert(j->finding < FINDINGS && findings[j->finding].suspicion == what);
    switch (what) {
    case SUSPECT_MISSING: /* a row that moved meanwhile is in the API's hands */
        j->at_ms = ms_rounded_up(first);
        return row->active && row->expires_us == first;
    case SUSPECT_MISPLACED: /* of one that is due the sweeper decides when to look */
        j->at_ms = ms_rounded_up(first);
        return row->active && row->expires_us == first && first > t->now_us;
    case SUSPECT_STALE:
        return !row->found ||
               (!row->active && score_of(&j->seen, &score_ms) && is_left(t, score_ms));
    case SUSPECT_LEASE: /* one that is never due is the sweeper's to look at */
        j->at_ms = row->expires_us != INT64_MAX ? ms_rounded_up(row->expires_us) : first;
        j->finding = row->active ? FINDING_LEASE : FINDING_LEASE_STALE;
        return first * MS_US < t->now_us;
    case SUSPECT_RECORD:
        if (!row->active) {
            j->finding = FINDING_RECORD_STALE;
            return true;
        }
        j->at_ms = retry_ms(&j->seen, t->now_us / MS_US);
        return j->finding == FINDING_RECORD_UNSCHEDULED;
    case SUSPICIONS:
        break;
    }
    assert(false);
    return false;
}
