/* What others hold locked: what begins it, what ends it, when it is asked for and said. */
#include "release/locked.h"
#include "release/release.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define SECOND 1000000
#define NOW_US (INT64_C(1800000000) * SECOND) /* Postgres's time, whatever the monotonic one */

static int64_t meet(struct locked *l, const char *id, enum lock lock, int64_t mono_us)
{
    struct item item;
    assert_int_equal(item_init(&item, id, strlen(id)), 0);
    item.outcome = OUTCOME_LOCKED;
    item.lock = lock;
    item.claimed_ms = NOW_US / 1000 - 4000;
    locked_note(l, &item, NOW_US, mono_us);
    int64_t due_us = item.due_us;
    item_clear(&item);
    return due_us;
}

static void decide(struct locked *l, const char *id, enum outcome outcome)
{
    struct item item;
    assert_int_equal(item_init(&item, id, strlen(id)), 0);
    item.outcome = outcome;
    locked_note(l, &item, NOW_US, 1);
    item_clear(&item);
}

static void begins_and_ends(void **state)
{
    (void)state;
    struct locked *l = locked_new();
    assert_int_equal(locked_since_us(l), INT64_MAX);
    meet(l, "a", LOCK_HELD, 5);
    meet(l, "b", LOCK_INSIDE, 6);
    meet(l, "a", LOCK_HELD, 7);
    assert_int_equal(locked_count(l), 2);
    assert_int_equal(locked_since_us(l), 5);
    assert_true(locked_inside(l, "b"));
    assert_false(locked_inside(l, "a"));
    const enum outcome not_said[] = {OUTCOME_UNTRIED, OUTCOME_UNKNOWN, OUTCOME_FAULT,
                                     OUTCOME_DEFERRED};
    for (size_t i = 0; i < 4; i++)
        decide(l, "a", not_said[i]);
    assert_true(locked_has(l, "a"));
    decide(l, "a", OUTCOME_RELEASED);
    assert_false(locked_has(l, "a"));
    assert_int_equal(locked_since_us(l), 6);
    decide(l, "b", OUTCOME_NOT_DUE);
    assert_int_equal(locked_count(l), 0);
    decide(l, "never met", OUTCOME_RELEASED);
    locked_free(l);
}

static void among_others_says_nothing_new(void **state)
{
    (void)state;
    struct locked *l = locked_new();
    assert_int_equal(meet(l, "a", LOCK_AMONG, 5), 0);
    assert_int_equal(locked_count(l), 0);
    assert_int_equal(meet(l, "a", LOCK_INSIDE, 5), NOW_US - 4 * SECOND);
    assert_int_equal(meet(l, "a", LOCK_AMONG, 6), NOW_US - 4 * SECOND);
    assert_true(locked_inside(l, "a"));
    locked_free(l);
}

static void is_bounded(void **state)
{
    (void)state;
    struct locked *l = locked_new();
    for (int i = 0; i < LOCKED_MOST + 10; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        meet(l, id, LOCK_HELD, i + 1);
    }
    assert_int_equal(locked_count(l), LOCKED_MOST);
    locked_free(l);
}

static struct locked_holder holder_of(int32_t pid)
{
    struct locked_holder holder = {.known = pid != 0, .pid = pid};
    strcpy(holder.user, "shop");
    return holder;
}

static size_t asked(struct locked *l, int64_t mono_us)
{
    const char *ids[10];
    return locked_ask(l, ids, 10, mono_us);
}

static void is_asked_for_when_it_is_old(void **state)
{
    (void)state;
    struct locked *l = locked_new();
    struct locked_holder holder = holder_of(77);
    assert_int_equal(locked_ask_at_us(l), INT64_MAX);
    meet(l, "a", LOCK_HELD, 100 * SECOND);
    assert_int_equal(asked(l, 101 * SECOND), 0);
    for (int t = 105; t <= 125; t += 5)
        meet(l, "a", LOCK_HELD, t * SECOND);
    assert_true(locked_ask_at_us(l) <= 125 * SECOND);
    assert_int_equal(asked(l, 125 * SECOND), 1);
    assert_true(locked_ask_at_us(l) >= 127 * SECOND); /* never more than every two seconds */
    locked_answer(l, "a", true, "p", &holder, 125 * SECOND);
    assert_int_equal(asked(l, 127 * SECOND), 0);
    meet(l, "a", LOCK_HELD, 155 * SECOND);
    assert_int_equal(asked(l, 156 * SECOND), 1); /* another may hold it by now */

    struct locked_entry entry;
    assert_int_equal(locked_oldest(l, &entry, 1), 1);
    assert_int_equal(entry.holder.pid, 77);
    assert_string_equal(entry.product, "p");
    locked_free(l);
}

static void what_is_not_met_any_more_is_asked_for(void **state)
{
    (void)state;
    struct locked *l = locked_new();
    struct locked_holder nobody = holder_of(0), somebody = holder_of(5);
    meet(l, "a", LOCK_HELD, SECOND);
    meet(l, "b", LOCK_HELD, SECOND);
    meet(l, "c", LOCK_HELD, SECOND);
    assert_int_equal(asked(l, 9 * SECOND), 0);
    assert_int_equal(asked(l, 11 * SECOND), 3);
    locked_answer(l, "a", false, "", &nobody, 12 * SECOND); /* released by another sweeper */
    locked_answer(l, "b", true, "p", &nobody, 12 * SECOND);
    locked_answer(l, "c", true, "p", &somebody, 12 * SECOND);
    assert_false(locked_has(l, "a"));
    assert_false(locked_has(l, "b"));
    assert_true(locked_has(l, "c"));
    locked_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_and_ends),
        cmocka_unit_test(among_others_says_nothing_new),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(is_asked_for_when_it_is_old),
        cmocka_unit_test(what_is_not_met_any_more_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
