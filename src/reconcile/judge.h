/* What a reconciliation makes of what it sees: pure, with its tests in tests/unit/test_judge.c.
 *
 * A reservation is looked at twice. The first look leaves a suspicion, or none: judge_row,
 * judge_entry, judge_lease. The second one asks Redis (judge_redis) and then Postgres
 * (judge_postgres), and makes a finding of it, or drops it. Redis comes first, because a row that
 * is active after Redis had no entry of it was active all along: an API that commits and then
 * removes its entry is never taken for one that lost it. */
#ifndef RS_RECONCILE_JUDGE_H
#define RS_RECONCILE_JUDGE_H

#include "queue/repair.h"
#include "reconcile/findings.h"

struct lookup;

/* The times and settings that a judge goes by. */
struct judge_times {
    int64_t now_us; /* Postgres's */
    int64_t lease_us;
    int64_t lookahead_us; /* 0: nobody but the API mirrors */
    int64_t feed_interval_us;
};

/* ---- the first look ---- */

/* An active row, with its score in :pending (DUE_NOWHERE: none). now_us: when the row was read.
 * Returns SUSPECT_MISSING, SUSPECT_MISPLACED, or SUSPECT_NOBODY. */
enum suspicion judge_row(const struct judge_times *t, int64_t expires_us, int64_t score_ms);

/* How long to wait before the second look at a row that is missing: as long as the feed may still
 * take to mirror it. young: it was changed lately, or nobody knows when. */
int64_t judge_delay_us(const struct judge_times *t, int64_t expires_us, bool young);

#define JUDGE_AGAIN_US INT64_C(1000000) /* the shortest time between two looks */

/* An entry of :pending and what Postgres says of its row. SPENT: its row is not active, and it
 * waits for its time, when the sweeper will forget it. */
enum judged_entry { ENTRY_FINE, ENTRY_SPENT, ENTRY_STALE };
enum judged_entry judge_entry(const struct judge_times *t, int64_t score_ms,
                              const struct lookup *row);

/* A claim, by its score in :inflight. *lease_ms: when its lease ended, if that is to be suspected.
 */
bool judge_lease(const struct judge_times *t, const struct due_text *score, int64_t *lease_ms);

/* ---- the second look ---- */

struct judgement {
    enum finding finding;
    struct due_text seen; /* what a repair expects to be there still; borrowed from the state */
    int64_t at_ms;        /* the entry's time after the repair, if it has one */
};

/* first, in what follows: MISSING, MISPLACED: the row's expires_at in microseconds; LEASE: when the
 * lease ended, in milliseconds; else not used. */

/* Whether the suspicion stands by what Redis has now; fills in *j, of which judge_postgres may make
 * another finding. */
bool judge_redis(enum suspicion what, int64_t first, const struct due_state *state,
                 struct judgement *j);

/* Whether it stands by what Postgres says after that: then *j is what was found. */
bool judge_postgres(const struct judge_times *t, enum suspicion what, int64_t first,
                    const struct lookup *row, struct judgement *j);

#endif
