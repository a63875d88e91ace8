/* What becomes in Redis of each outcome, and when it is looked at again. */
#include "config/queue.h"
#include "release/failed_record.h"
#include "release/release.h"
#include "sweep/settlement.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define NOW_MS INT64_C(1763942400000)
#define NONE RESCHEDULE_REASONS
#define LOOK_AGAIN_MS 7000
#define AT_MOST_MS 60000

static const struct queue_keep keep = {.look_again_us = LOOK_AGAIN_MS * 1000,
                                       .at_most_us = AT_MOST_MS * 1000};

/* A claimed one, due a second ago. */
static struct item claimed(enum outcome outcome)
{
    return (struct item){.outcome = outcome, .claimed_ms = NOW_MS - 1000};
}

static void check(const struct item *item, enum due_verdict verdict, int64_t at_ms,
                  enum reschedule_reason reason)
{
    const struct item before = *item;
    const struct settlement s = settlement_of(item, NOW_MS, &keep);
    assert_int_equal(s.verdict, verdict);
    assert_int_equal(s.at_ms, at_ms);
    assert_int_equal(s.reason, reason);
    assert_memory_equal(&before, item, sizeof(before));
}

static void test_done(void **state)
{
    static const enum outcome outcomes[] = {OUTCOME_RELEASED, OUTCOME_INACTIVE, OUTCOME_MISSING,
                                            OUTCOME_INVALID};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
        const struct item item = claimed(outcomes[i]);
        check(&item, DUE_FORGET, 0, NONE);
    }
}

/* What may be decided by anybody is due at once; what had no turn waits a moment. */
static void test_undecided(void **state)
{
    static const struct {
        enum outcome outcome;
        int64_t at_ms;
    } rows[] = {
        {OUTCOME_NONE, NOW_MS},
        {OUTCOME_UNKNOWN, NOW_MS},
        {OUTCOME_UNTRIED, NOW_MS + 250},
        {OUTCOME_FAULT, NOW_MS + 1000},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct item item = claimed(rows[i].outcome);
        check(&item, DUE_PUT_BACK, rows[i].at_ms, NONE);
    }
}

static void test_not_due(void **state)
{
    static const struct {
        int64_t claimed_ms, expires_us, at_ms;
        enum reschedule_reason reason;
    } rows[] = {
        /* its expiry lies after the claim: extended; at its own time, rounded up */
        {NOW_MS - 5, (NOW_MS + 60000) * 1000, NOW_MS + 60000, RESCHEDULE_EXTENDED},
        {NOW_MS - 5, (NOW_MS + 60000) * 1000 + 1, NOW_MS + 60001, RESCHEDULE_EXTENDED},
        /* a hint that was early, by rounding down or by a clock: never at once */
        {NOW_MS, NOW_MS * 1000 + 1, NOW_MS + 1, RESCHEDULE_NOT_DUE},
        {NOW_MS, (NOW_MS - 3) * 1000, NOW_MS + 1, RESCHEDULE_NOT_DUE},
        {NOW_MS, NOW_MS * 1000, NOW_MS + 1, RESCHEDULE_NOT_DUE},
        {NOW_MS, (NOW_MS + 1) * 1000, NOW_MS + 1, RESCHEDULE_NOT_DUE},
        {NOW_MS, (NOW_MS + 2) * 1000, NOW_MS + 2, RESCHEDULE_EXTENDED},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct item item = claimed(OUTCOME_NOT_DUE);
        item.claimed_ms = rows[i].claimed_ms;
        item.expires_us = rows[i].expires_us;
        check(&item, DUE_HEALED_PUT_BACK, rows[i].at_ms, rows[i].reason);
    }
}

/* Extended, at the time when it is due again; else after a while. */
static void test_kept(void **state)
{
    struct item item = claimed(OUTCOME_KEPT);
    (void)state;
    item.kept = (struct kept){.since_ms = NOW_MS - 9000, .due_ms = NOW_MS + 1};
    check(&item, DUE_KEPT, NOW_MS + 1, NONE);
    item.kept.due_ms = NOW_MS;
    check(&item, DUE_KEPT, NOW_MS + LOOK_AGAIN_MS, NONE);
    item.kept.due_ms = NOW_MS - 9000;
    check(&item, DUE_KEPT, NOW_MS + LOOK_AGAIN_MS, NONE);
}

/* When it has been kept for as long as it may be it is looked at once more, not later: what becomes
 * of it then is decided by Postgres's clock. */
static void test_kept_until(void **state)
{
    static const struct {
        int64_t since_ms;
        int64_t at_ms;
    } rows[] = {
        {NOW_MS - AT_MOST_MS + LOOK_AGAIN_MS, NOW_MS + LOOK_AGAIN_MS},
        {NOW_MS - AT_MOST_MS + LOOK_AGAIN_MS - 1, NOW_MS + LOOK_AGAIN_MS},
        {NOW_MS - AT_MOST_MS + 200, NOW_MS + 201},
        {NOW_MS - AT_MOST_MS, NOW_MS + 100},
        {NOW_MS - AT_MOST_MS - 9000, NOW_MS + 100},
    };
    struct item item = claimed(OUTCOME_KEPT);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        item.kept = (struct kept){.since_ms = rows[i].since_ms, .due_ms = rows[i].since_ms};
        check(&item, DUE_KEPT, rows[i].at_ms, NONE);
        item.kept.attention = true;
        check(&item, DUE_KEPT, NOW_MS + LOOK_AGAIN_MS, NONE);
    }
}

/* Looked at too early, when it was this sweeper that extended it: it is kept still. */
static void test_kept_and_not_due(void **state)
{
    struct item item = claimed(OUTCOME_NOT_DUE);
    (void)state;
    item.kept = (struct kept){.since_ms = NOW_MS - 9000, .due_ms = NOW_MS + 60000};
    item.expires_us = (NOW_MS + 60000) * 1000;
    check(&item, DUE_PUT_BACK, NOW_MS + 60000, RESCHEDULE_EXTENDED);
    item.expires_us -= 999;
    check(&item, DUE_PUT_BACK, NOW_MS + 60000, RESCHEDULE_EXTENDED);
    item.expires_us += 1000; /* by the shop */
    check(&item, DUE_HEALED_PUT_BACK, NOW_MS + 60001, RESCHEDULE_EXTENDED);
}

static void test_without_an_expiry(void **state)
{
    struct item item = claimed(OUTCOME_NOT_DUE);
    (void)state;
    item.expires_us = INT64_MAX;
    check(&item, DUE_FORGET, 0, NONE);
}

static void test_locked(void **state)
{
    struct item item = claimed(OUTCOME_LOCKED);
    (void)state;
    check(&item, DUE_PUT_BACK, NOW_MS + 250, RESCHEDULE_LOCKED); /* among others: not known */
    item.due_us = (NOW_MS - 8000) * 1000;
    check(&item, DUE_PUT_BACK, NOW_MS + 2000, RESCHEDULE_LOCKED); /* a quarter of its lateness */
    item.due_us = NOW_MS * 1000;
    check(&item, DUE_PUT_BACK, NOW_MS + 20, RESCHEDULE_LOCKED);
}

/* The back-off counts this refusal. */
static void test_refused(void **state)
{
    struct item item = claimed(OUTCOME_FAILED);
    (void)state;
    check(&item, DUE_FAILED, NOW_MS + 1000, RESCHEDULE_FAILED);
    item.attempts = 3;
    check(&item, DUE_FAILED, NOW_MS + 8000, RESCHEDULE_FAILED);
}

static void test_deferred(void **state)
{
    struct item item = claimed(OUTCOME_DEFERRED);
    (void)state;
    item.attempts = 3; /* of no weight: its product's breaker decides */
    item.wait_us = 4500000;
    check(&item, DUE_DEFERRED, NOW_MS + 4500, RESCHEDULE_FAILED);
}

static struct item read_again(const struct item *item, int64_t now_ms)
{
    char *record = failed_record_make(item, now_ms, now_ms + 1000);
    struct item again = {.outcome = OUTCOME_NONE};
    assert_non_null(record);
    failed_record_read(&again, record, strlen(record));
    free(record);
    return again;
}

/* The record counts this refusal; of one that was not tried, none. */
static void test_record(void **state)
{
    struct item item = claimed(OUTCOME_FAILED);
    (void)state;
    assert_int_equal(read_again(&item, NOW_MS).attempts, 1);
    assert_int_equal(read_again(&item, NOW_MS).first_failed_ms, NOW_MS);
    item.attempts = 3;
    item.first_failed_ms = NOW_MS - 7000;
    assert_int_equal(read_again(&item, NOW_MS).attempts, 4);
    assert_int_equal(read_again(&item, NOW_MS).first_failed_ms, NOW_MS - 7000);
    item.outcome = OUTCOME_DEFERRED;
    assert_int_equal(read_again(&item, NOW_MS).attempts, 3);
    item.attempts = 0;
    assert_int_equal(read_again(&item, NOW_MS).attempts, 0);
}

/* What somebody else wrote there counts as one attempt. */
static void test_strange_records(void **state)
{
    static const char *const records[] = {"",
                                          "{",
                                          "[]",
                                          "{}",
                                          "{\"attempts\":-1}",
                                          "{\"attempts\":4294967295}",
                                          "{\"attempts\":\"7\"}",
                                          "{\"attempts\":1.5,\"firstFailedAt\":-1}"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        struct item item = {.outcome = OUTCOME_NONE};
        failed_record_read(&item, records[i], strlen(records[i]));
        assert_int_equal(item.attempts, 1);
        assert_int_equal(item.first_failed_ms, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done),
        cmocka_unit_test(test_undecided),
        cmocka_unit_test(test_not_due),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_kept_until),
        cmocka_unit_test(test_kept_and_not_due),
        cmocka_unit_test(test_without_an_expiry),
        cmocka_unit_test(test_locked),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_deferred),
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_strange_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
