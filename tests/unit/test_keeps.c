/* What this process knows to be kept. */
#include "release/keeps.h"

#include "base/time_units.h"
#include "config/queue.h"
#include "release/release.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define SINCE_MS INT64_C(1763942400000)
#define NOW_US (1000 * SECOND_US)       /* monotonic */
#define THEN_US ((SINCE_MS + 5) * 1000) /* Postgres's time at that moment */

static struct queue_keep of;
static struct keeps *keeps;

static int set_up(void **state)
{
    (void)state;
    of = (struct queue_keep){.look_again_us = 30 * SECOND_US, .at_most_us = 3600 * SECOND_US};
    keeps = keeps_new(&of);
    return keeps != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    keeps_free(keeps);
    return 0;
}

static struct item decided(const char *id, enum outcome outcome)
{
    struct item item;
    item_borrow(&item, id, strlen(id));
    item.outcome = outcome;
    item.kept = (struct kept){.since_ms = SINCE_MS, .due_ms = SINCE_MS + 5};
    return item;
}

static void note(const char *id, enum outcome outcome, int64_t mono_us)
{
    const struct item item = decided(id, outcome);
    keeps_note(keeps, &item, THEN_US + mono_us - NOW_US, mono_us);
}

/* What is known of one that comes along with this record. */
static struct kept told(const char *id, const char *json)
{
    struct item item;
    item_borrow(&item, id, strlen(id));
    keeps_tell(keeps, &item, json, json != NULL ? strlen(json) : 0);
    return item.kept;
}

static void test_remembered(void **state)
{
    (void)state;
    size_t attention;
    assert_int_equal(told("a", NULL).since_ms, 0);
    note("a", OUTCOME_KEPT, NOW_US);
    assert_int_equal(told("a", NULL).since_ms, SINCE_MS);
    assert_int_equal(told("a", NULL).due_ms, SINCE_MS + 5);
    assert_int_equal(told("b", NULL).since_ms, 0);
    assert_int_equal(keeps_count(keeps, &attention), 1);
    assert_int_equal(attention, 0);
}

/* The later word counts: another sweeper's, or our own that did not reach Redis. */
static void test_beside_a_record(void **state)
{
    (void)state;
    note("a", OUTCOME_KEPT, NOW_US);
    assert_int_equal(told("a", "{\"since\":7,\"dueAt\":1763942400004}").since_ms, SINCE_MS);
    assert_int_equal(told("a", "{\"since\":7,\"dueAt\":1763942400006}").since_ms, 7);
    assert_int_equal(told("b", "{\"since\":7,\"dueAt\":9}").due_ms, 9);
    assert_int_equal(told("b", "{\"since\":-7,\"dueAt\":253402300800000}").since_ms, 0);
    assert_int_equal(told("b", "{\"since\":-7,\"dueAt\":253402300800000}").due_ms, 0);
    assert_int_equal(told("b", "[").since_ms, 0);
}

static void test_forgotten(void **state)
{
    static const enum outcome over[] = {OUTCOME_RELEASED, OUTCOME_INACTIVE, OUTCOME_MISSING,
                                        OUTCOME_INVALID};
    static const enum outcome still[] = {OUTCOME_NONE,    OUTCOME_NOT_DUE, OUTCOME_LOCKED,
                                         OUTCOME_FAILED,  OUTCOME_UNTRIED, OUTCOME_DEFERRED,
                                         OUTCOME_UNKNOWN, OUTCOME_FAULT};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(over); i++) {
        note("a", OUTCOME_KEPT, NOW_US);
        for (size_t j = 0; j < ARRAY_LEN(still); j++)
            note("a", still[j], NOW_US);
        assert_int_equal(told("a", NULL).since_ms, SINCE_MS);
        note("a", over[i], NOW_US);
        assert_int_equal(told("a", NULL).since_ms, 0);
    }
}

/* What was not met again when it should have been: another sweeper has it. */
static void test_stale(void **state)
{
    (void)state;
    size_t attention;
    note("a", OUTCOME_KEPT, NOW_US);
    note("b", OUTCOME_KEPT, NOW_US + 60 * SECOND_US);
    note("c", OUTCOME_NONE, NOW_US + 90 * SECOND_US);
    assert_int_equal(keeps_count(keeps, &attention), 2);
    note("c", OUTCOME_NONE, NOW_US + 91 * SECOND_US);
    assert_int_equal(keeps_count(keeps, &attention), 1);
    assert_int_equal(told("a", NULL).since_ms, 0);
}

static void test_left_alone(void **state)
{
    (void)state;
    note("a", OUTCOME_KEPT, NOW_US);
    assert_true(keeps_wait(keeps, "a", NOW_US + 30 * SECOND_US - 1));
    assert_false(keeps_wait(keeps, "a", NOW_US + 30 * SECOND_US));
    assert_false(keeps_wait(keeps, "b", NOW_US));
    of.at_most_us = 10 * SECOND_US; /* it is over before */
    note("a", OUTCOME_KEPT, NOW_US);
    assert_true(keeps_wait(keeps, "a", NOW_US + 9900 * MS_US));
    assert_false(keeps_wait(keeps, "a", NOW_US + 10 * SECOND_US));
    of.extend_us = SECOND_US; /* it is due when it is to be looked at */
    note("a", OUTCOME_KEPT, NOW_US);
    assert_false(keeps_wait(keeps, "a", NOW_US));
    struct item item = decided("a", OUTCOME_KEPT);
    item.kept.attention = true;
    keeps_note(keeps, &item, THEN_US, NOW_US);
    assert_true(keeps_wait(keeps, "a", NOW_US + 29 * SECOND_US));
}

static void test_attention(void **state)
{
    (void)state;
    size_t attention;
    struct item item = decided("a", OUTCOME_KEPT);
    item.kept.attention = true;
    keeps_note(keeps, &item, THEN_US, NOW_US);
    keeps_note(keeps, &item, THEN_US, NOW_US);
    assert_int_equal(keeps_count(keeps, &attention), 1);
    assert_int_equal(attention, 1);
    note("a", OUTCOME_KEPT, NOW_US);
    (void)keeps_count(keeps, &attention);
    assert_int_equal(attention, 0);
    keeps_note(keeps, &item, THEN_US, NOW_US);
    note("a", OUTCOME_RELEASED, NOW_US);
    assert_int_equal(keeps_count(keeps, &attention), 0);
    assert_int_equal(attention, 0);
}

static void test_bounded(void **state)
{
    (void)state;
    size_t attention;
    for (int i = 0; i < KEEPS_MOST + 10; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        note(id, OUTCOME_KEPT, NOW_US);
    }
    assert_int_equal(keeps_count(keeps, &attention), KEEPS_MOST);
    assert_int_equal(told("10009", NULL).since_ms, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_remembered), TEST(test_beside_a_record), TEST(test_forgotten), TEST(test_stale),
        TEST(test_left_alone), TEST(test_attention),       TEST(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
