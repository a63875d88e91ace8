/* The judges of a reconciliation: what is suspected at a first look, what a second one makes of it,
 * and which repair follows. */
#include "base/time_units.h"
#include "reconcile/judge.h"
#include "reconcile/lookup.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

#define NOW_US (1763942400 * SECOND_US)
#define NOW_MS (NOW_US / MS_US)
#define LEASE_US (10 * SECOND_US)
#define LEASE_MS (LEASE_US / MS_US)
#define LOOKAHEAD_US (60 * SECOND_US)
#define FEED_US (15 * SECOND_US)

static const struct judge_times times = {NOW_US, LEASE_US, LOOKAHEAD_US, FEED_US};
static const struct judge_times lookahead_off = {NOW_US, LEASE_US, 0, FEED_US};

static void test_first_look_at_a_row(void **state)
{
    (void)state;
    const int64_t within_lookahead_us = NOW_US + LOOKAHEAD_US;
    static const int64_t soon_us = NOW_US + 1500; /* 1.5 ms: its entry belongs at 2 ms */
    const struct {
        const struct judge_times *times;
        int64_t expires_us, score_ms;
        enum suspicion what;
    } rows[] = {
        {&times, soon_us, NOW_MS + 2, SUSPECT_NOBODY},
        {&times, soon_us, NOW_MS - 99, SUSPECT_NOBODY}, /* earlier: looked at in vain, no more */
        {&times, soon_us, NOW_MS + 3, SUSPECT_MISPLACED},
        {&times, within_lookahead_us + 1, INT64_MAX, SUSPECT_MISPLACED},
        {&times, soon_us, DUE_NOWHERE, SUSPECT_MISSING},
        {&times, within_lookahead_us, DUE_NOWHERE, SUSPECT_MISSING},
        {&times, within_lookahead_us + 1, DUE_NOWHERE, SUSPECT_NOBODY}, /* not mirrored yet */
        {&lookahead_off, within_lookahead_us + 1, DUE_NOWHERE, SUSPECT_MISSING},
        {&lookahead_off, soon_us, NOW_MS + 2, SUSPECT_NOBODY},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(judge_row(rows[i].times, rows[i].expires_us, rows[i].score_ms),
                         rows[i].what);
}

/* The feed has two of its intervals, from when it could first read the row. */
static void test_delays(void **state)
{
    (void)state;
    const int64_t long_us = 2 * FEED_US + JUDGE_AGAIN_US;
    const int64_t due_so_us = NOW_US + LOOKAHEAD_US - 2 * FEED_US;
    const struct {
        const struct judge_times *times;
        int64_t expires_us;
        bool young;
        int64_t delay_us;
    } rows[] = {
        {&times, NOW_US + LOOKAHEAD_US, false, long_us},
        {&times, due_so_us, false, long_us},
        {&times, due_so_us - 1, false, JUDGE_AGAIN_US},
        {&times, due_so_us - 1, true, long_us}, /* made just now, to expire soon */
        {&lookahead_off, NOW_US + LOOKAHEAD_US, true, JUDGE_AGAIN_US},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(judge_delay_us(rows[i].times, rows[i].expires_us, rows[i].young),
                         rows[i].delay_us);
}

static const struct lookup gone = {false, false, 0, false};
static const struct lookup inactive = {true, false, 0, false};

static void test_first_look_at_an_entry(void **state)
{
    (void)state;
    static const struct lookup active = {true, true, NOW_US, false};
    const struct {
        const struct lookup *row;
        int64_t score_ms;
        enum judged_entry entry;
    } rows[] = {
        {&active, NOW_MS + 5, ENTRY_FINE},
        {&active, NOW_MS - 2 * LEASE_MS, ENTRY_FINE},
        {&gone, NOW_MS + 5, ENTRY_STALE},
        {&inactive, NOW_MS + 5, ENTRY_SPENT},        /* the sweeper forgets it when it is due */
        {&inactive, NOW_MS - LEASE_MS, ENTRY_SPENT}, /* a sweeper may be at it */
        {&inactive, NOW_MS - LEASE_MS - 1, ENTRY_STALE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(judge_entry(&times, rows[i].score_ms, rows[i].row), rows[i].entry);
}

static struct due_text text_of(const char *text)
{
    return (struct due_text){text, text != NULL ? strlen(text) : 0};
}

static void test_first_look_at_a_lease(void **state)
{
    (void)state;
    const struct {
        const char *score;
        bool suspect;
    } rows[] = {
        {"1763942399999", true},
        {"0", true},
        {"1763942400000", false},
        {"1763942410000", false},
        {"inf", false},
        {"nan", false},
        {"", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct due_text score = text_of(rows[i].score);
        int64_t lease_ms = -1;
        assert_int_equal(judge_lease(&times, &score, &lease_ms), rows[i].suspect);
        assert_true(!rows[i].suspect || lease_ms == strtoll(rows[i].score, NULL, 10));
    }
}

/* ---- the second look: Redis ---- */

#define EXPIRES_US (NOW_US + 30 * SECOND_US - 1) /* its entry belongs at NOW_MS + 30000 */
#define ENDED_MS (NOW_MS - 7)

static void test_second_look_at_redis(void **state)
{
    (void)state;
    static const struct {
        enum suspicion what;
        int64_t first;
        const char *pending, *inflight, *record;
        bool stands;
        enum finding finding;
        const char *seen;
    } rows[] = {
        {SUSPECT_MISSING, EXPIRES_US, NULL, NULL, NULL, true, FINDING_MISSING, NULL},
        {SUSPECT_MISSING, EXPIRES_US, "1", NULL, NULL, false, FINDINGS, NULL},
        {SUSPECT_MISSING, EXPIRES_US, NULL, "1", NULL, false, FINDINGS, NULL},
        {SUSPECT_MISSING, EXPIRES_US, NULL, NULL, "{}", false, FINDINGS, NULL},

        {SUSPECT_MISPLACED, EXPIRES_US, "1763942430001", NULL, NULL, true, FINDING_MISPLACED,
         "1763942430001"},
        {SUSPECT_MISPLACED, EXPIRES_US, "inf", NULL, NULL, true, FINDING_MISPLACED, "inf"},
        {SUSPECT_MISPLACED, EXPIRES_US, "1763942430000", NULL, NULL, false, FINDINGS, NULL},
        {SUSPECT_MISPLACED, EXPIRES_US, "nan", NULL, NULL, false, FINDINGS, NULL},
        {SUSPECT_MISPLACED, EXPIRES_US, NULL, NULL, NULL, false, FINDINGS, NULL},
        {SUSPECT_MISPLACED, EXPIRES_US, "1763942430001", "1", NULL, false, FINDINGS, NULL},
        {SUSPECT_MISPLACED, EXPIRES_US, "1763942430001", NULL, "{}", false, FINDINGS, NULL},

        {SUSPECT_STALE, 0, "5", NULL, NULL, true, FINDING_STALE, "5"},
        {SUSPECT_STALE, 0, "5", NULL, "{}", true, FINDING_STALE, "5"},
        {SUSPECT_STALE, 0, NULL, NULL, NULL, false, FINDINGS, NULL},
        {SUSPECT_STALE, 0, "5", "6", NULL, false, FINDINGS, NULL},

        {SUSPECT_LEASE, ENDED_MS, NULL, "1763942399993", NULL, true, FINDING_LEASE,
         "1763942399993"},
        {SUSPECT_LEASE, ENDED_MS, "1", "1763942399993", "{}", true, FINDING_LEASE, "1763942399993"},
        {SUSPECT_LEASE, ENDED_MS, NULL, "1763942399994", NULL, false, FINDINGS, NULL},
        {SUSPECT_LEASE, ENDED_MS, NULL, "nan", NULL, false, FINDINGS, NULL},
        {SUSPECT_LEASE, ENDED_MS, "1763942399993", NULL, NULL, false, FINDINGS, NULL},

        {SUSPECT_RECORD, 0, "5", NULL, "{}", true, FINDING_RECORD_STALE, "{}"},
        {SUSPECT_RECORD, 0, NULL, NULL, "{}", true, FINDING_RECORD_UNSCHEDULED, "{}"},
        {SUSPECT_RECORD, 0, NULL, "5", "{}", false, FINDINGS, NULL},
        {SUSPECT_RECORD, 0, "5", NULL, NULL, false, FINDINGS, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct due_state redis = {text_of(rows[i].pending), text_of(rows[i].inflight),
                                        text_of(rows[i].record), text_of(NULL)};
        /* What is kept is looked at at its own time too. */
        const struct due_state kept = {redis.pending, redis.inflight, redis.kept, redis.record};
        struct judgement j;
        bool stands = judge_redis(rows[i].what, rows[i].first, &kept, &j);
        if (rows[i].what != SUSPECT_RECORD)
            assert_int_equal(stands, rows[i].stands);
        stands = judge_redis(rows[i].what, rows[i].first, &redis, &j);
        if (stands != rows[i].stands)
            print_error("row %zu\n", i);
        assert_int_equal(stands, rows[i].stands);
        if (!stands)
            continue;
        assert_int_equal(j.finding, rows[i].finding);
        assert_int_equal(j.seen.text == NULL, rows[i].seen == NULL);
        if (j.seen.text != NULL)
            assert_string_equal(j.seen.text, rows[i].seen);
    }
}

/* ---- the second look: Postgres ---- */

#define RETRY_RECORD "{\"attempts\":1,\"retryAt\":1763942401000}"

static void test_second_look_at_postgres(void **state)
{
    (void)state;
    static const struct lookup as_before = {true, true, EXPIRES_US, false};
    static const struct lookup extended = {true, true, EXPIRES_US + 1, false};
    static const struct lookup due = {true, true, NOW_US, false};
    static const struct lookup never_due = {true, true, INT64_MAX, false};
    static const struct {
        enum suspicion what;
        enum finding before;
        int64_t first;
        const char *seen;
        const struct lookup *row;
        bool found;
        enum finding finding;
        const char *repair;
        int64_t at_ms; /* 0: the repair has no use for it */
    } rows[] = {
        {SUSPECT_MISSING, FINDING_MISSING, EXPIRES_US, NULL, &as_before, true, FINDING_MISSING,
         "add", NOW_MS + 30000},
        {SUSPECT_MISSING, FINDING_MISSING, NOW_US, NULL, &due, true, FINDING_MISSING, "add",
         NOW_MS},
        {SUSPECT_MISSING, FINDING_MISSING, EXPIRES_US, NULL, &extended, false, 0, NULL, 0},
        {SUSPECT_MISSING, FINDING_MISSING, EXPIRES_US, NULL, &inactive, false, 0, NULL, 0},
        {SUSPECT_MISSING, FINDING_MISSING, 0, NULL, &gone, false, 0, NULL, 0},

        {SUSPECT_MISPLACED, FINDING_MISPLACED, EXPIRES_US, "1763942499999", &as_before, true,
         FINDING_MISPLACED, "move", NOW_MS + 30000},
        {SUSPECT_MISPLACED, FINDING_MISPLACED, EXPIRES_US, "inf", &extended, false, 0, NULL, 0},
        {SUSPECT_MISPLACED, FINDING_MISPLACED, NOW_US, "inf", &due, false, 0, NULL, 0},
        {SUSPECT_MISPLACED, FINDING_MISPLACED, EXPIRES_US, "inf", &inactive, false, 0, NULL, 0},

        {SUSPECT_STALE, FINDING_STALE, 0, "1763942499999", &gone, true, FINDING_STALE, "remove", 0},
        {SUSPECT_STALE, FINDING_STALE, 0, "nan", &gone, true, FINDING_STALE, "remove", 0},
        {SUSPECT_STALE, FINDING_STALE, 0, "1763942389999", &inactive, true, FINDING_STALE, "remove",
         0},
        {SUSPECT_STALE, FINDING_STALE, 0, "1763942390000", &inactive, false, 0, NULL, 0},
        {SUSPECT_STALE, FINDING_STALE, 0, "nan", &inactive, false, 0, NULL, 0},
        {SUSPECT_STALE, FINDING_STALE, 0, "1", &as_before, false, 0, NULL, 0},

        /* Returned at the time of its row, whatever the lease's; looked at when there is none. */
        {SUSPECT_LEASE, FINDING_LEASE, ENDED_MS, "1763942399993", &as_before, true, FINDING_LEASE,
         "return", NOW_MS + 30000},
        {SUSPECT_LEASE, FINDING_LEASE, ENDED_MS, "1763942399993", &never_due, true, FINDING_LEASE,
         "return", ENDED_MS},
        {SUSPECT_LEASE, FINDING_LEASE, ENDED_MS, "1763942399993", &inactive, true,
         FINDING_LEASE_STALE, "unclaim", 0},
        {SUSPECT_LEASE, FINDING_LEASE, ENDED_MS, "1763942399993", &gone, true, FINDING_LEASE_STALE,
         "unclaim", 0},
        {SUSPECT_LEASE, FINDING_LEASE, NOW_MS, "1763942400000", &as_before, false, 0, NULL, 0},

        {SUSPECT_RECORD, FINDING_RECORD_UNSCHEDULED, 0, RETRY_RECORD, &as_before, true,
         FINDING_RECORD_UNSCHEDULED, "retry", NOW_MS + 1000},
        {SUSPECT_RECORD, FINDING_RECORD_STALE, 0, RETRY_RECORD, &as_before, false, 0, NULL, 0},
        {SUSPECT_RECORD, FINDING_RECORD_UNSCHEDULED, 0, RETRY_RECORD, &inactive, true,
         FINDING_RECORD_STALE, "forget", 0},
        {SUSPECT_RECORD, FINDING_RECORD_STALE, 0, RETRY_RECORD, &gone, true, FINDING_RECORD_STALE,
         "forget", 0},
        /* A record that says nothing, or something absurd, is tried now. */
        {SUSPECT_RECORD, FINDING_RECORD_UNSCHEDULED, 0, "no JSON", &as_before, true,
         FINDING_RECORD_UNSCHEDULED, "retry", NOW_MS},
        {SUSPECT_RECORD, FINDING_RECORD_UNSCHEDULED, 0, "{\"retryAt\":-5}", &as_before, true,
         FINDING_RECORD_UNSCHEDULED, "retry", NOW_MS},
        {SUSPECT_RECORD, FINDING_RECORD_UNSCHEDULED, 0, "{\"retryAt\":1763946000000}", &as_before,
         true, FINDING_RECORD_UNSCHEDULED, "retry", NOW_MS},
        {SUSPECT_RECORD, FINDING_RECORD_UNSCHEDULED, 0, "{\"retryAt\":1763945999999}", &as_before,
         true, FINDING_RECORD_UNSCHEDULED, "retry", NOW_MS + 3599999},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct judgement j = {rows[i].before, text_of(rows[i].seen), 0};
        bool found = judge_postgres(&times, rows[i].what, rows[i].first, rows[i].row, &j);
        if (found != rows[i].found)
            print_error("row %zu\n", i);
        assert_int_equal(found, rows[i].found);
        if (!found)
            continue;
        assert_int_equal(j.finding, rows[i].finding);
        assert_string_equal(findings[j.finding].repair, rows[i].repair);
        assert_int_equal(findings[j.finding].has_time, rows[i].at_ms != 0);
        if (rows[i].at_ms != 0)
            assert_int_equal(j.at_ms, rows[i].at_ms);
    }
}

/* ---- the tables ---- */

static void test_each_row_of_the_tables(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *done;
        enum reconcile_count count;
    } rows[FINDINGS] = {
        [FINDING_EXPIRED] = {"expired", "released", COUNT_RELEASED},
        [FINDING_MISSING] = {"mirrorMissing", "added", COUNT_MISSING},
        [FINDING_MISPLACED] = {"mirrorMisplaced", "moved", COUNT_MISPLACED},
        [FINDING_STALE] = {"mirrorOrphaned", "removed", COUNT_STALE},
        [FINDING_LEASE] = {"leaseExpired", "returned", COUNT_LEASES},
        [FINDING_LEASE_STALE] = {"leaseExpired", "removed", COUNT_LEASES},
        [FINDING_LEASE_ODD] = {"leaseUnreadable", "removed", COUNT_STALE},
        [FINDING_RECORD_STALE] = {"recordOrphaned", "removed", COUNT_STALE},
        [FINDING_RECORD_UNSCHEDULED] = {"recordUnscheduled", "scheduled", COUNT_MISSING},
        [FINDING_STOCK] = {"stockDrifted", "repaired", COUNT_STOCK_DRIFTED},
        [FINDING_VERIFY] = {"verify", "nothing", COUNT_VERIFY},
    };
    static const char *const fields[COUNTS] = {
        "releasedCount",  "failedCount", "skippedCount",  "mirrorMissing", "mirrorMisplaced",
        "mirrorOrphaned", "mirrorSpent", "leasesExpired", "stockChecked",  "stockDrifted",
        "stockRepaired",  "verifyFound", "remainingCount"};
    unsigned lines = 0;
    for (int i = 0; i < FINDINGS; i++) {
        assert_string_equal(findings[i].kind, rows[i].kind);
        assert_string_equal(findings[i].done, rows[i].done);
        assert_int_equal(findings[i].count, rows[i].count);
        /* Redis is repaired for what was suspected first, and for nothing else. */
        assert_int_equal(findings[i].repair != NULL, findings[i].suspicion != SUSPECT_NOBODY);
        assert_int_equal(findings[i].of_product, i == FINDING_STOCK);
    }
    for (int i = 0; i < COUNTS; i++) {
        assert_string_equal(reconcile_counters[i].field, fields[i]);
        assert_int_equal(reconcile_counters[i].words != NULL, reconcile_counters[i].line > 0);
        if (reconcile_counters[i].line > 0)
            lines |= 1U << reconcile_counters[i].line;
    }
    assert_int_equal(lines, (1U << (RECONCILE_LINES + 1)) - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_look_at_a_row),
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_first_look_at_an_entry),
        cmocka_unit_test(test_first_look_at_a_lease),
        cmocka_unit_test(test_second_look_at_redis),
        cmocka_unit_test(test_second_look_at_postgres),
        cmocka_unit_test(test_each_row_of_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
