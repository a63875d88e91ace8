/* Whether a suspect is a finding, as Redis and Postgres have it the second time, what repairs it,
 * and what is counted and reported then. */
#include "base/parse.h"
#include "base/time_units.h"
#include "config/config.h"
#include "reconcile/reconcile_private.h"
#include "release/parts.h"

bool judge_redis(const struct suspect *s, const struct due_state *state, struct due_repair *repair)
{
    int64_t score_ms = 0;
    switch ((enum suspicion)s->what) {
    case SUSPECT_MISSING:
        repair->what = REPAIR_ADD;
        return state->pending.text == NULL && state->inflight.text == NULL &&
               state->record.text == NULL;
    case SUSPECT_MISPLACED:
        repair->what = REPAIR_MOVE;
        repair->seen = state->pending;
        return state->pending.text != NULL && state->inflight.text == NULL &&
               state->record.text == NULL &&
               parse_score_ms(state->pending.text, state->pending.len, &score_ms) == 0 &&
               score_ms > ms_rounded_up(s->first);
    case SUSPECT_ORPHANED:
        repair->what = REPAIR_REMOVE;
        repair->seen = state->pending;
        return state->pending.text != NULL && state->inflight.text == NULL;
    case SUSPECT_LEASE:
        repair->what = REPAIR_RETURN;
        repair->seen = state->inflight;
        return state->inflight.text != NULL &&
               parse_score_ms(state->inflight.text, state->inflight.len, &score_ms) == 0 &&
               score_ms == s->first;
    case SUSPECT_RECORD:
        repair->what = state->pending.text != NULL ? REPAIR_FORGET : REPAIR_RETRY;
        repair->seen = state->record;
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

bool judge_postgres(const struct reconcile *r, const struct suspect *s, const struct lookup *look,
                    struct due_repair *repair)
{
    int64_t now_us = run_now_us(r);
    int64_t score_ms = 0;
    repair->at_ms = ms_rounded_up(s->first);
    switch ((enum suspicion)s->what) {
    case SUSPECT_MISSING: /* a row that moved meanwhile is in the API's hands */
        return look->active && look->expires_us == s->first;
    case SUSPECT_MISPLACED: /* of one that is due the sweeper decides when to look */
        return look->active && look->expires_us == s->first && s->first > now_us;
    case SUSPECT_ORPHANED:
        return !look->found ||
               (!look->active &&
                parse_score_ms(repair->seen.text, repair->seen.len, &score_ms) == 0 &&
                score_ms * MS_US < now_us - r->parts->config->lease_us);
    case SUSPECT_LEASE:
        repair->at_ms = s->first;
        if (!look->active)
            repair->what = REPAIR_UNCLAIM;
        return s->first * MS_US < now_us;
    case SUSPECT_RECORD:
        if (!look->active) {
            repair->what = REPAIR_FORGET;
            return true;
        }
        repair->at_ms = retry_ms(&repair->seen, now_us / MS_US);
        return repair->what == REPAIR_RETRY;
    }
    return false;
}

/* ---- what was found ---- */

static const struct {
    const char *kind, *done;
} words[] = {
    [REPAIR_ADD] = {"mirrorMissing", "added"},
    [REPAIR_MOVE] = {"mirrorMisplaced", "moved"},
    [REPAIR_REMOVE] = {"mirrorOrphaned", "removed"},
    [REPAIR_RETURN] = {"leaseExpired", "returned"},
    [REPAIR_UNCLAIM] = {"leaseExpired", "removed"},
    [REPAIR_FORGET] = {"recordOrphaned", "removed"},
    [REPAIR_RETRY] = {"recordUnscheduled", "scheduled"},
};

static json_t *number_of(const struct due_text *text)
{
    int64_t ms = 0;
    if (text->text == NULL || parse_score_ms(text->text, text->len, &ms) != 0)
        return json_null();
    return json_integer(ms);
}

static void report(struct reconcile *r, const struct due_repair *repair)
{
    json_t *expected = NULL, *found = NULL;
    bool record = repair->what == REPAIR_FORGET || repair->what == REPAIR_RETRY;
    if (!report_wanted(r))
        return;
    if (repair->what != REPAIR_REMOVE && repair->what != REPAIR_UNCLAIM &&
        repair->what != REPAIR_FORGET)
        expected = json_integer(repair->at_ms);
    if (record)
        found = json_loadb(repair->seen.text, repair->seen.len, JSON_DECODE_ANY, NULL);
    else
        found = number_of(&repair->seen);
    report_finding(r, words[repair->what].kind, false, repair->id, repair->id_len, expected, found,
                   r->options.dry_run ? "nothing" : words[repair->what].done);
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

static void count(struct reconcile *r, const struct due_repair *repair)
{
    struct reconcile_result *result = &r->result;
    switch (repair->what) {
    case REPAIR_ADD:
    case REPAIR_RETRY:
        result->missing++;
        break;
    case REPAIR_MOVE:
        result->misplaced++;
        break;
    case REPAIR_REMOVE:
    case REPAIR_FORGET:
        result->orphaned++;
        break;
    case REPAIR_RETURN:
    case REPAIR_UNCLAIM:
        result->leases_expired++;
        break;
    }
    if (r->options.dry_run)
        result->remaining++;
    report(r, repair);
}

void judge_count(struct reconcile *r, const struct suspect *s, const struct due_repair *repair)
{
    if (!met_before(r, s))
        count(r, repair);
}

void judge_missing(struct reconcile *r, const struct due_entry *entry)
{
    const struct due_repair repair = {
        .what = REPAIR_ADD,
        .id = entry->id,
        .id_len = entry->id_len,
        .at_ms = entry->at_ms,
    };
    if (seen_add(r->seen, SEEN_ACTIVE, entry->id, entry->id_len))
        count(r, &repair);
}
