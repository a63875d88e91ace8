/* What Postgres refused while Redis could not be told. */
#include "base/time_units.h"
#include "release/refusals.h"

#include <stdio.h>

#include "unit.h"

#define NOW_US (100 * SECOND_US)

static void each_waits_longer(void **state)
{
    (void)state;
    struct refusals *r = refusals_new();
    bool not_yet = true;
    assert_int_equal(refusals_find(r, "a", NOW_US, &not_yet), 0);
    assert_false(not_yet);
    assert_int_equal(refusals_note(r, "a", NOW_US), 1);
    assert_int_equal(refusals_find(r, "a", NOW_US + SECOND_US - 1, &not_yet), 1);
    assert_true(not_yet);
    assert_int_equal(refusals_find(r, "a", NOW_US + SECOND_US, &not_yet), 1);
    assert_false(not_yet);
    assert_int_equal(refusals_note(r, "a", NOW_US), 2);
    assert_int_equal(refusals_find(r, "a", NOW_US + 2 * SECOND_US - 1, &not_yet), 2);
    assert_true(not_yet);
    assert_int_equal(refusals_find(r, "b", NOW_US, &not_yet), 0);
    assert_false(not_yet);
    refusals_free(r);
}

static void what_was_released_is_forgotten(void **state)
{
    (void)state;
    struct refusals *r = refusals_new();
    bool not_yet = true;
    assert_int_equal(refusals_note(r, "a", NOW_US), 1);
    refusals_forget(r, "a");
    refusals_forget(r, "never there");
    assert_int_equal(refusals_find(r, "a", NOW_US, &not_yet), 0);
    assert_false(not_yet);
    assert_int_equal(refusals_note(r, "a", NOW_US), 1);
    refusals_free(r);
}

static void met_once(void **state)
{
    (void)state;
    struct refusals *r = refusals_new();
    bool not_yet = true;
    assert_true(refusals_meet(r, "a"));
    assert_false(refusals_meet(r, "a"));
    assert_int_equal(refusals_find(r, "a", NOW_US, &not_yet), 0);
    assert_false(not_yet);
    refusals_forget(r, "a");
    assert_true(refusals_meet(r, "a"));
    refusals_free(r);
}

static void barred(void **state)
{
    (void)state;
    struct refusals *r = refusals_new();
    bool not_yet = false;
    assert_int_equal(refusals_note(r, "b", NOW_US), 1);
    assert_true(refusals_bar(r, "a") && refusals_bar(r, "b"));
    assert_int_equal(refusals_find(r, "a", INT64_MAX - 1, &not_yet), 0);
    assert_true(not_yet);
    assert_int_equal(refusals_find(r, "b", INT64_MAX - 1, &not_yet), 1);
    assert_true(not_yet);
    refusals_clear(r);
    assert_int_equal(refusals_find(r, "b", NOW_US, &not_yet), 0);
    assert_false(not_yet);
    assert_true(refusals_bar(r, "a"));
    refusals_free(r);
}

/* Past that it is tried again with the next pass, and no memory is used without end. */
static void bounded(void **state)
{
    (void)state;
    struct refusals *r = refusals_new();
    char id[16];
    bool not_yet = true;
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        assert_true(refusals_meet(r, id));
    }
    assert_false(refusals_meet(r, "one more") || refusals_bar(r, "one more"));
    assert_int_equal(refusals_note(r, "one more", NOW_US), 1);
    assert_int_equal(refusals_find(r, "one more", NOW_US, &not_yet), 0);
    assert_false(not_yet);
    refusals_forget(r, "77");
    assert_true(refusals_meet(r, "one more"));
    refusals_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_waits_longer), cmocka_unit_test(what_was_released_is_forgotten),
        cmocka_unit_test(met_once),          cmocka_unit_test(barred),
        cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
