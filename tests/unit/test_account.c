/* What decided reservations mean for the counters, and for whether Postgres works. */
#include "release/account.h"

#include "base/time_units.h"
#include "config/queue.h"
#include "release/keeps.h"
#include "release/locked.h"
#include "release/parts.h"
#include "release/refusal_log.h"
#include "release/release.h"
#include "unit.h"

#define COMMIT_US (INT64_C(1763942400) * SECOND_US)

static const struct queue_keep keep;
static struct parts parts;
static int locked_told, failed_told, uncounted_told;

void locked_note(struct locked *l, struct item *item, int64_t now_us, int64_t mono_us)
{
    (void)l;
    (void)item;
    (void)mono_us;
    assert_true(now_us == COMMIT_US);
    locked_told++;
}

void refusal_log_failed(struct refusal_log *l, const struct item *item)
{
    (void)l;
    (void)item;
    failed_told++;
}

void refusal_log_uncounted(struct refusal_log *l, const struct item *item)
{
    (void)l;
    (void)item;
    uncounted_told++;
}

static int set_up(void **state)
{
    (void)state;
    parts = (struct parts){.keeps = keeps_new(&keep)};
    assert_non_null(parts.keeps);
    stats_init(&parts.stats);
    locked_told = failed_told = uncounted_told = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    keeps_free(parts.keeps);
    return 0;
}

static char id[] = "a";

static struct item decided(enum outcome outcome)
{
    return (struct item){.id = id, .id_len = 1, .outcome = outcome};
}

static void account(enum outcome first, enum outcome second)
{
    struct item items[] = {decided(first), decided(second)};
    account_decided(&parts, items, ARRAY_LEN(items), COMMIT_US);
}

static void test_released(void **state)
{
    struct item items[] = {decided(OUTCOME_RELEASED), decided(OUTCOME_RELEASED),
                           decided(OUTCOME_RELEASED)};
    (void)state;
    items[0].expires_us = COMMIT_US - 2 * SECOND_US;
    items[0].units.whole = 3;
    items[1].expires_us = COMMIT_US - 3 * SECOND_US;
    items[1].units.whole = 4;
    items[1].uncounted = 2;
    items[2].expires_us = INT64_MAX; /* it never did */
    account_decided(&parts, items, ARRAY_LEN(items), COMMIT_US);
    assert_int_equal(parts.stats.released, 3);
    assert_int_equal(parts.stats.released_units.whole, 7);
    assert_int_equal(parts.stats.lateness_s.n, 2);
    assert_true(parts.stats.lateness_s.sum > 4.999 && parts.stats.lateness_s.sum < 5.001);
    assert_int_equal(parts.stats.uncounted, 2);
    assert_int_equal(uncounted_told, 1);
    assert_int_equal(locked_told, 3);
    assert_int_equal(failed_told, 0);
}

static void test_not_released(void **state)
{
    (void)state;
    account(OUTCOME_INACTIVE, OUTCOME_MISSING);
    account(OUTCOME_INVALID, OUTCOME_FAILED);
    account(OUTCOME_MISSING, OUTCOME_LOCKED);
    account(OUTCOME_DEFERRED, OUTCOME_NOT_DUE);
    assert_int_equal(parts.stats.discarded[DISCARD_INACTIVE], 1);
    assert_int_equal(parts.stats.discarded[DISCARD_MISSING], 2);
    assert_int_equal(parts.stats.discarded[DISCARD_INVALID], 1);
    assert_int_equal(stats_failed_total(&parts.stats), 1);
    assert_int_equal(failed_told, 1);
    assert_int_equal(parts.stats.released, 0);
    assert_int_equal(locked_told, 8);
}

/* Some are named; the next minute's first says how many others there were. */
static void test_what_is_no_id_does_not_flood_the_log(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        account(OUTCOME_INVALID, OUTCOME_INVALID);
    assert_int_equal(parts.account.invalid_said.said, FEW_MOST);
    assert_int_equal(parts.account.invalid_said.more, 20 - FEW_MOST);
}

/* Only what could be a text as it stands needs no other name. */
static void test_ids_that_are_no_text(void **state)
{
    char odd[] = "\xff";
    struct item item = decided(OUTCOME_RELEASED);
    (void)state;
    account_decided(&parts, &item, 1, COMMIT_US);
    assert_int_equal(parts.account.odd_said.said, 0);
    item.id = odd;
    account_decided(&parts, &item, 1, COMMIT_US);
    assert_int_equal(parts.account.odd_said.said, 1);
}

static void test_when_a_fault_begins_and_ends(void **state)
{
    static const enum outcome shows_nothing[] = {OUTCOME_NONE,    OUTCOME_LOCKED,
                                                 OUTCOME_UNTRIED, OUTCOME_DEFERRED,
                                                 OUTCOME_UNKNOWN, OUTCOME_INVALID};
    static const enum outcome works[] = {OUTCOME_RELEASED, OUTCOME_INACTIVE, OUTCOME_MISSING,
                                         OUTCOME_NOT_DUE, OUTCOME_FAILED};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(shows_nothing); i++) {
        account(shows_nothing[i], shows_nothing[i]);
        assert_int_equal(parts.account.fault_since_us, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        account(OUTCOME_LOCKED, OUTCOME_FAULT);
        int64_t since_us = parts.account.fault_since_us;
        assert_true(since_us > 0);
        for (size_t j = 0; j < ARRAY_LEN(shows_nothing); j++)
            account(shows_nothing[j], OUTCOME_FAULT);
        assert_true(parts.account.fault_since_us == since_us);
        account(OUTCOME_FAULT, works[i]);
        assert_int_equal(parts.account.fault_since_us, 0);
    }
    account(OUTCOME_FAULT, OUTCOME_FAULT);
    account_nothing_left(&parts);
    assert_int_equal(parts.account.fault_since_us, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_released),
        TEST(test_not_released),
        TEST(test_what_is_no_id_does_not_flood_the_log),
        TEST(test_ids_that_are_no_text),
        TEST(test_when_a_fault_begins_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
