/* The breaker of one product: each row of its table, at its limits. */
#include "base/time_units.h"
#include "release/breaker.h"
#include "unit.h"

static void refuse(struct breaker *b, int times, bool certain, int64_t at_us)
{
    for (int i = 0; i < times; i++)
        assert_int_equal(breaker_refused(b, certain, at_us), BREAKER_NO_NEWS);
}

static struct breaker opened(int64_t at_us)
{
    struct breaker b = {.state = BREAKER_CLOSED};
    refuse(&b, 9, true, at_us);
    assert_int_equal(breaker_refused(&b, true, at_us), BREAKER_OPENED);
    assert_int_equal(b.state, BREAKER_OPEN);
    return b;
}

static void closed(void **state)
{
    struct breaker b = {.state = BREAKER_CLOSED};
    (void)state;
    assert_false(breaker_speaks(&b, 0));
    refuse(&b, 9, true, 5);
    assert_true(breaker_speaks(&b, 5 + 10 * SECOND_US));
    assert_false(breaker_speaks(&b, 6 + 10 * SECOND_US));
    assert_int_equal(breaker_verdict(&b, 5), BREAKER_TRY);
    breaker_released(&b);
    refuse(&b, 9, true, 5);
    refuse(&b, 9, true, 6 + 10 * SECOND_US); /* not in a row */
    refuse(&b, 20, false, 6 + 10 * SECOND_US);
    assert_int_equal(breaker_refused(&b, false, 6 + 10 * SECOND_US), BREAKER_OPENED);
    breaker_released(&b);
    refuse(&b, 15, false, 7 + 10 * SECOND_US);
    assert_int_equal(breaker_refused(&b, true, 17 + 20 * SECOND_US - 10), BREAKER_OPENED);
}

static void open(void **state)
{
    struct breaker b = opened(7);
    (void)state;
    assert_int_equal(b.until_us, 7 + SECOND_US);
    assert_int_equal(breaker_verdict(&b, 6 + SECOND_US), BREAKER_DEFER);
    assert_int_equal(breaker_verdict(&b, 7 + SECOND_US), BREAKER_TRIAL);
    refuse(&b, 40, true, 8); /* of batches that were under way */
    assert_int_equal(b.until_us, 7 + SECOND_US);
    assert_int_equal(breaker_defer(&b), 7 + SECOND_US);
    assert_int_equal(breaker_defer(&b), 7 + SECOND_US + MS_US);
    assert_int_equal(breaker_defer(&b), 7 + SECOND_US + 2 * MS_US);
    assert_true(breaker_speaks(&b, 7 + SECOND_US + 10 * MINUTE_US));
    assert_int_equal(breaker_verdict(&b, 7 + SECOND_US + 10 * MINUTE_US), BREAKER_TRIAL);
    assert_false(breaker_speaks(&b, 8 + SECOND_US + 10 * MINUTE_US));
    assert_int_equal(breaker_verdict(&b, 8 + SECOND_US + 10 * MINUTE_US), BREAKER_TRY);
    refuse(&b, 9, true, 8 + SECOND_US + 10 * MINUTE_US); /* it counts anew */
    breaker_released(&b);
    assert_int_equal(breaker_verdict(&b, 8), BREAKER_TRY);
    assert_false(breaker_speaks(&b, 8));
}

static void half_open(void **state)
{
    struct breaker b = opened(0);
    int64_t at_us = SECOND_US;
    (void)state;
    breaker_begin_trial(&b, at_us);
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_int_equal(breaker_verdict(&b, at_us), BREAKER_DEFER);
    assert_int_equal(breaker_verdict(&b, at_us + SECOND_US - 1), BREAKER_DEFER);
    assert_int_equal(breaker_defer(&b), at_us + SECOND_US);
    at_us += SECOND_US; /* no answer came */
    assert_int_equal(breaker_verdict(&b, at_us), BREAKER_TRIAL);
    for (int64_t back_off_us = 2 * SECOND_US; back_off_us < 300 * SECOND_US; back_off_us *= 2) {
        breaker_begin_trial(&b, at_us);
        assert_int_equal(breaker_refused(&b, false, at_us), BREAKER_REOPENED);
        assert_int_equal(b.state, BREAKER_OPEN);
        assert_int_equal(b.until_us, at_us + back_off_us);
        at_us = b.until_us;
    }
    breaker_begin_trial(&b, at_us);
    breaker_released(&b);
    assert_int_equal(b.state, BREAKER_CLOSED);
    refuse(&b, 9, true, at_us);
    assert_int_equal(breaker_refused(&b, true, at_us), BREAKER_OPENED);
    assert_int_equal(b.until_us, at_us + SECOND_US); /* the first back-off again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed),
        cmocka_unit_test(open),
        cmocka_unit_test(half_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
