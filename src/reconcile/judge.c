/* Whether a suspect is a finding, as Redis and Postgres have it the second time, what mends it, and
 * what is counted and reported then. */
#include "base/parse.h"
#include "base/time_units.h"
#include "config/config.h"
#include "reconcile/reconcile_private.h"
#include "release/parts.h"

bool judge_redis(const struct suspect *s, const struct due_state *state, struct due_mend *mend)
{
    int64_t score_ms = 0;
    switch ((enum suspicion)s->what) {
    case SUSPECT_MISSING:
        mend->what = DUE_ADD;
        return state->pending.text == NULL && state->inflight.text == NULL &&
               state->record.text == NULL;
    case SUSPECT_MISPLACED:
        mend->what = DUE_MOVE;
        mend->seen = state->pending;
        return state->pending.text != NULL && state->inflight.text == NULL &&
               state->record.text == NULL &&
               parse_score_ms(state->pending.text, state->pending.len, &score_ms) == 0 &&
               score_ms > ms_rounded_up(s->first);
    case SUSPECT_ORPHANED:
        mend->what = DUE_REMOVE;
        mend->seen = state->pending;
        return state->pending.text != NULL && state->inflight.text == NULL;
    case SUSPECT_LEASE:
        mend->what = DUE_RETURN;
        mend->seen = state->inflight;
        return state->inflight.text != NULL &&
               parse_score_ms(state->inflight.text, state->inflight.len, &score_ms) == 0 &&
               score_ms == s->first;
    case SUSPECT_RECORD:
        mend->what = state->pending.text != NULL ? DUE_UNFAIL : DUE_RETRY;
        mend->seen = state->record;
        return state->record.text != NULL && state->inflight.text == NULL;
    }
    return false;
}

/* When a failed one is to be tried again, as its record says; now when it does not. */
static int64_t retry_ms(const struct due_text *record, int64_t now_ms)
{
    json_t *o = json_loadb(record->text, record->len, 0, NULL);
    json_int_t at_ms = json_integer_value(json_object_get(o, "retryAt"));
    json_decref(o);
    return at_ms > 0 && at_ms < now_ms + 3600 * SECOND_MS ? at_ms : now_ms;
}

bool judge_postgres(const struct reconcile *r, const struct suspect *s, const struct look *look,
                    struct due_mend *mend)
{
    int64_t now_us = reconcile_now_us(r);
    int64_t score_ms = 0;
    mend->at_ms = ms_rounded_up(s->first);
    switch ((enum suspicion)s->what) {
    case SUSPECT_MISSING: /* a row that moved meanwhile is in the API's hands */
        return look->active && look->expires_us == s->first;
    case SUSPECT_MISPLACED: /* of one that is due the sweeper decides when to look */
        return look->active && look->expires_us == s->first && s->first > now_us;
    case SUSPECT_ORPHANED:
        return !look->found ||
               (!look->active && parse_score_ms(mend->seen.text, mend->seen.len, &score_ms) == 0 &&
                score_ms * MS_US < now_us - r->parts->config->lease_us);
    case SUSPECT_LEASE:
        mend->at_ms = s->first;
        if (!look->active)
            mend->what = DUE_UNCLAIM;
        return s->first * MS_US < now_us;
    case SUSPECT_RECORD:
        if (!look->active) {
            mend->what = DUE_UNFAIL;
            return true;
        }
        mend->at_ms = retry_ms(&mend->seen, now_us / MS_US);
        return mend->what == DUE_RETRY;
    }
    return false;
}

/* ---- what was found ---- */

static const struct {
    const char *kind, *done;
} words[] = {
    [DUE_ADD] = {"mirrorMissing", "added"},           [DUE_MOVE] = {"mirrorMisplaced", "moved"},
    [DUE_REMOVE] = {"mirrorOrphaned", "removed"},     [DUE_RETURN] = {"leaseExpired", "returned"},
    [DUE_UNCLAIM] = {"leaseExpired", "removed"},      [DUE_UNFAIL] = {"recordOrphaned", "removed"},
    [DUE_RETRY] = {"recordUnscheduled", "scheduled"},
};

static json_t *number_of(const struct due_text *text)
{
    int64_t ms = 0;
    if (text->text == NULL || parse_score_ms(text->text, text->len, &ms) != 0)
        return json_null();
    return json_integer(ms);
}

static void report(struct reconcile *r, const struct due_mend *mend)
{
    json_t *expected = NULL, *found = NULL;
    bool record = mend->what == DUE_UNFAIL || mend->what == DUE_RETRY;
    if (!report_wanted(r))
        return;
    if (mend->what != DUE_REMOVE && mend->what != DUE_UNCLAIM && mend->what != DUE_UNFAIL)
        expected = json_integer(mend->at_ms);
    if (record)
        found = json_loadb(mend->seen.text, mend->seen.len, JSON_DECODE_ANY, NULL);
    else
        found = number_of(&mend->seen);
    report_finding(r, words[mend->what].kind, false, mend->id, mend->id_len, expected, found,
                   r->options.dry_run ? "nothing" : words[mend->what].done);
}

/* A scan may have met it more than once; of several rows each may have been missing. What was added
 * need not be looked up. */
static bool met_before(struct reconcile *r, const struct suspect *s)
{
    static const enum seen_as as[] = {
        [SUSPECT_MISSING] = SEEN_ACTIVE,    [SUSPECT_MISPLACED] = SEEN_MISPLACED,
        [SUSPECT_ORPHANED] = SEEN_ORPHANED, [SUSPECT_LEASE] = SEEN_LEASE,
        [SUSPECT_RECORD] = SEEN_RECORD,
    };
    return !seen_add(r->seen, as[s->what], s->id, s->id_len);
}

static void count(struct reconcile *r, const struct due_mend *mend)
{
    struct reconcile_result *result = &r->result;
    switch (mend->what) {
    case DUE_ADD:
    case DUE_RETRY:
        result->missing++;
        break;
    case DUE_MOVE:
        result->misplaced++;
        break;
    case DUE_REMOVE:
    case DUE_UNFAIL:
        result->orphaned++;
        break;
    case DUE_RETURN:
    case DUE_UNCLAIM:
        result->leases_expired++;
        break;
    }
    if (r->options.dry_run)
        result->remaining++;
    report(r, mend);
}

void judge_count(struct reconcile *r, const struct suspect *s, const struct due_mend *mend)
{
    if (!met_before(r, s))
        count(r, mend);
}

void judge_missing(struct reconcile *r, const struct due_entry *entry)
{
    const struct due_mend mend = {
        .what = DUE_ADD,
        .id = entry->id,
        .id_len = entry->id_len,
        .at_ms = entry->at_ms,
    };
    if (seen_add(r->seen, SEEN_ACTIVE, entry->id, entry->id_len))
        count(r, &mend);
}
