/* Delays: within their limits, growing, and different from one sweeper to the next. */
#include "base/backoff.h"

#include "unit.h"

static void test_delays_stay_within_limits(void **state)
{
    (void)state;
    static const struct {
        int64_t min_us, max_us;
    } rows[] = {
        {1, 1},
        {1, 2},
        {100000, 5000000},
        {1, INT64_MAX},
        {INT64_MAX, INT64_MAX},
        {INT64_MAX / 2, INT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct backoff b = {.min_us = rows[i].min_us, .max_us = rows[i].max_us};
        for (int n = 0; n < 10000; n++) {
            int64_t before_us = b.last_us > b.min_us ? b.last_us : b.min_us;
            int64_t delay_us = backoff_next_us(&b);
            assert_true(delay_us >= b.min_us && delay_us <= b.max_us);
            assert_true(before_us > INT64_MAX / 3 || delay_us <= 3 * before_us);
            assert_int_equal(delay_us, b.last_us);
        }
    }
}

static void test_delays_grow_and_reset(void **state)
{
    (void)state;
    struct backoff b = {.min_us = 1000, .max_us = INT64_C(1000000000)};
    int64_t most_us = 0;
    for (int n = 0; n < 10000; n++) { /* few do not always get so far */
        int64_t delay_us = backoff_next_us(&b);
        most_us = delay_us > most_us ? delay_us : most_us;
    }
    assert_true(most_us > 1000000);
    backoff_reset(&b);
    assert_true(backoff_next_us(&b) <= 3000);
}

static void test_delays_differ(void **state)
{
    (void)state;
    struct backoff a = {.min_us = 1000000, .max_us = 60000000};
    struct backoff b = a;
    int equal = 0;
    for (int n = 0; n < 20; n++) {
        equal += backoff_next_us(&a) == backoff_next_us(&b);
        backoff_reset(&a);
        backoff_reset(&b);
    }
    assert_true(equal < 3);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        uint32_t attempts;
        int64_t seconds;
    } rows[] = {{0, 1},   {1, 1},    {2, 2},    {3, 4},        {8, 128},
                {9, 256}, {10, 300}, {64, 300}, {100000, 300}, {UINT32_MAX, 300}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(backoff_refused_us(rows[i].attempts), rows[i].seconds * 1000000);
}

static void test_locked(void **state)
{
    (void)state;
    static const struct {
        int64_t lateness_us, delay_us;
    } rows[] = {{INT64_MIN, 20000},  {-1, 20000},         {0, 20000},          {80000, 20000},
                {80004, 20001},      {400000, 100000},    {19999996, 4999999}, {20000000, 5000000},
                {20000004, 5000000}, {INT64_MAX, 5000000}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(backoff_locked_us(rows[i].lateness_us), rows[i].delay_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays_stay_within_limits),
        cmocka_unit_test(test_delays_grow_and_reset),
        cmocka_unit_test(test_delays_differ),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
