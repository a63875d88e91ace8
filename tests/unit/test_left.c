/* Which reservation a pass names as the oldest that it left. */
#include "release/left.h"
#include "release/release.h"
#include "unit.h"

#include <string.h>

static char ids[3][2] = {"a", "b", "c"};

static void fill(struct item items[3], enum outcome a, enum outcome b, enum outcome c)
{
    const enum outcome outcomes[] = {a, b, c};
    for (int i = 0; i < 3; i++)
        items[i] = (struct item){.id = ids[i], .outcome = outcomes[i], .expires_us = 10 + i};
}

static void test_what_is_left(void **state)
{
    static const enum outcome left[] = {OUTCOME_NONE, OUTCOME_UNKNOWN, OUTCOME_FAULT};
    static const enum outcome decided[] = {OUTCOME_RELEASED, OUTCOME_INACTIVE, OUTCOME_MISSING,
                                           OUTCOME_INVALID,  OUTCOME_NOT_DUE,  OUTCOME_LOCKED,
                                           OUTCOME_FAILED,   OUTCOME_UNTRIED,  OUTCOME_DEFERRED};
    struct item items[3];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(decided); i++) {
        fill(items, decided[i], decided[i], decided[i]);
        assert_null(left_first(items, 3));
        for (size_t j = 0; j < ARRAY_LEN(left); j++) {
            fill(items, decided[i], left[j], left[j]);
            assert_ptr_equal(left_first(items, 3), &items[1]);
        }
    }
    assert_null(left_first(NULL, 0));
}

static void test_the_oldest_is_kept(void **state)
{
    struct left left = {.id = NULL};
    struct item items[3];
    (void)state;
    fill(items, OUTCOME_RELEASED, OUTCOME_RELEASED, OUTCOME_RELEASED);
    left_note(&left, items, 3);
    assert_null(left.id);
    fill(items, OUTCOME_RELEASED, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN);
    left_note(&left, items, 3);
    left_note(&left, items + 2, 1); /* of a later page */
    assert_string_equal(left.id, "b");
    fill(items, OUTCOME_UNKNOWN, OUTCOME_RELEASED, OUTCOME_RELEASED);
    left_note(&left, items, 3); /* of an earlier one, which took longer */
    assert_string_equal(left.id, "a");
    left_clear(&left);
    fill(items, OUTCOME_RELEASED, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN);
    items[2].expires_us = 5; /* by place, not by expiry */
    left_note(&left, items, 3);
    assert_string_equal(left.id, "c");
    assert_int_equal(left.expired_us, 5);
    left_clear(&left);
    fill(items, OUTCOME_RELEASED, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN);
    left_note(&left, items, 3);
    assert_int_equal(left.expired_us, 11);
    left_clear(&left);
    assert_null(left.id);
    assert_int_equal(left.expired_us, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left),
        cmocka_unit_test(test_the_oldest_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
