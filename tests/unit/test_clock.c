/* The estimate of a server's clock: close to it, whatever round trips, drift and steps do. */
#include "base/clock.h"

#include "unit.h"

#include <stdlib.h>
#include <time.h>

#define EPOCH_US INT64_C(1763942400000000)
#define SECOND_US INT64_C(1000000)

static void test_clocks_run(void **state)
{
    (void)state;
    int64_t mono_us = clock_mono_us();
    int64_t wall_us = clock_wall_us();
    assert_true(clock_mono_us() >= mono_us);
    assert_true(llabs(wall_us / 1000000 - (int64_t)time(NULL)) <= 1);
}

static void test_unknown_clock_shows_zero(void **state)
{
    (void)state;
    struct server_clock c = {0};
    assert_int_equal(server_clock_now_us(&c), 0);
    assert_int_equal(server_clock_host_offset_us(&c), 0);
}

static void test_first_sample_is_upper_bound(void **state)
{
    (void)state;
    struct server_clock c = {0};
    server_clock_sample(&c, EPOCH_US, 1000, 1400);
    assert_true(c.known);
    assert_int_equal(c.offset_us, EPOCH_US - 1000);
    assert_int_equal(c.measured_us, 1400);
}

static void test_quicker_question_lowers_bound(void **state)
{
    (void)state;
    struct server_clock c = {0};
    server_clock_sample(&c, EPOCH_US + 8000, 0, 9000);
    server_clock_sample(&c, EPOCH_US + 10100, 10000, 19000);
    assert_int_equal(c.offset_us, EPOCH_US + 100);
}

static void test_slow_question_keeps_bound(void **state)
{
    (void)state;
    struct server_clock c = {0};
    server_clock_sample(&c, EPOCH_US, 0, 100);
    server_clock_sample(&c, EPOCH_US + 100000, 500, 100100);
    /* Risen by 20 ppm of 100 ms. */
    assert_int_equal(c.offset_us, EPOCH_US + 2);
    assert_int_equal(c.measured_us, 100100);
}

static void test_times_that_are_none_are_ignored(void **state)
{
    (void)state;
    static const int64_t bad[] = {0, -1, INT64_MIN, INT64_MAX, INT64_C(253402300799000001)};
    struct server_clock c = {0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        server_clock_sample(&c, bad[i], 100, 200);
        assert_false(c.known);
    }
    server_clock_sample(&c, EPOCH_US, 100, 200);

    struct server_clock before = c;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        server_clock_sample(&c, bad[i], 300, 400);
    assert_memory_equal(&before, &c, sizeof(c));
}

static void test_steps_are_followed(void **state)
{
    (void)state;
    static const int64_t steps_us[] = {
        3600 * SECOND_US, -3600 * SECOND_US, SECOND_US, -SECOND_US, 2000, -2000,
    };
    for (size_t i = 0; i < ARRAY_LEN(steps_us); i++) {
        struct server_clock c = {0};
        int64_t mono_us = 0;
        for (int n = 0; n < 10; n++, mono_us += SECOND_US)
            server_clock_sample(&c, EPOCH_US + mono_us + 150, mono_us, mono_us + 300);
        server_clock_sample(&c, EPOCH_US + mono_us + steps_us[i] + 150, mono_us, mono_us + 300);
        assert_int_equal(c.offset_us, EPOCH_US + steps_us[i] + 150);
    }
}

static void test_answers_read_out_of_order(void **state)
{
    (void)state;
    struct server_clock c = {0};
    server_clock_sample(&c, EPOCH_US + 2000, 1900, 2100);
    server_clock_sample(&c, EPOCH_US + 1000, 900, 1100);
    assert_int_equal(c.offset_us, EPOCH_US + 100);
    assert_int_equal(c.measured_us, 2100);
}

/* A thousand answers a second must not keep the bound from rising. */
static void test_bound_rises_under_load(void **state)
{
    (void)state;
    struct server_clock c = {0};
    server_clock_sample(&c, EPOCH_US, 0, 0);
    for (int64_t mono_us = 1000; mono_us <= 10 * SECOND_US; mono_us += 1000)
        server_clock_sample(&c, EPOCH_US + mono_us, mono_us - 5000, mono_us + 5000);
    assert_int_equal(c.offset_us, EPOCH_US + 200);
}

/* A small generator of its own, so that a failure can be repeated. */
static int64_t noise(uint32_t *seed, int64_t most)
{
    *seed = *seed * 1664525U + 1013904223U;
    return (int64_t)(*seed >> 8) % (most + 1);
}

static void test_close_with_drift_and_noise(void **state)
{
    (void)state;
    static const int64_t ppm[] = {-90, -50, 0, 50, 90};
    for (size_t k = 0; k < ARRAY_LEN(ppm); k++) {
        struct server_clock c = {0};
        uint32_t seed = 7;
        int64_t mono_us = 0;
        for (int n = 0; n < 20000; n++) {
            int64_t there_us = 50 + noise(&seed, 2000);
            int64_t back_us = 50 + noise(&seed, n % 50 == 0 ? 200000 : 2000);
            int64_t asked_us = mono_us + there_us;
            int64_t received_us = asked_us + back_us;
            server_clock_sample(&c, EPOCH_US + asked_us + asked_us * ppm[k] / 1000000, mono_us,
                                received_us);

            int64_t truth_us = EPOCH_US + received_us + received_us * ppm[k] / 1000000;
            int64_t behind_us = truth_us - (received_us + c.offset_us);
            /* Ahead by a way there, behind by a quick answer's round trip where the drift is
             * greater than what is allowed for. */
            assert_true(behind_us >= -2500);
            if (n > 100)
                assert_true(behind_us < 4500);
            mono_us = received_us + noise(&seed, 20000);
        }
    }
}

static void test_bound_rises_between_samples(void **state)
{
    (void)state;
    struct server_clock c = {0};
    int64_t mono_us = clock_mono_us();
    server_clock_sample(&c, EPOCH_US, mono_us - 1000 * SECOND_US, mono_us - 1000 * SECOND_US);

    int64_t shown_us = server_clock_now_us(&c) - EPOCH_US;
    assert_true(shown_us > 1000 * SECOND_US);
    assert_true(shown_us <= 1000 * SECOND_US + 20000 + SECOND_US);
}

static void test_waking_moment_is_late_enough(void **state)
{
    (void)state;
    int64_t base_us = clock_mono_us() - 100 * SECOND_US;
    for (int64_t ahead_us = -3; ahead_us < 100 * SECOND_US; ahead_us += ahead_us / 7 + 1) {
        struct server_clock c = {0};
        server_clock_sample(&c, EPOCH_US, base_us, base_us);

        int64_t at_us = server_clock_to_mono_us(&c, EPOCH_US + ahead_us);
        int64_t elapsed_us = at_us - base_us;
        int64_t shown_us = elapsed_us + (elapsed_us > 0 ? elapsed_us / 50000 : 0);
        assert_true(shown_us >= ahead_us);
        assert_true(shown_us <= ahead_us + 1);
    }
}

static void test_far_moments_do_not_overflow(void **state)
{
    (void)state;
    struct server_clock c = {0};
    server_clock_sample(&c, EPOCH_US, 100, 200);
    assert_true(server_clock_to_mono_us(&c, INT64_MAX) > EPOCH_US);
    assert_true(server_clock_to_mono_us(&c, INT64_MIN) < 0);
}

static void test_host_offset(void **state)
{
    (void)state;
    struct server_clock c = {0};
    int64_t mono_us = clock_mono_us();
    server_clock_sample(&c, clock_wall_us() + 5 * SECOND_US, mono_us, clock_mono_us());
    assert_true(llabs(server_clock_host_offset_us(&c) - 5 * SECOND_US) < SECOND_US);
}

/* The seconds and what is beyond them, added up. */
static void test_the_hosts_clock(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        int64_t now_us = clock_mono_us();
        clock_gettime(CLOCK_MONOTONIC, &after);
        assert_true(now_us >= before.tv_sec * INT64_C(1000000) + before.tv_nsec / 1000);
        assert_true(now_us <= after.tv_sec * INT64_C(1000000) + after.tv_nsec / 1000);
    }
}

/* 9999 is the last year of a server; what lies behind it is as far away as its end. */
static void test_the_end_of_time(void **state)
{
    static const int64_t last_us = INT64_C(253402300799000000);
    struct server_clock c = {.known = false};
    (void)state;
    server_clock_sample(&c, last_us + 1, 1, 2);
    assert_false(c.known);
    server_clock_sample(&c, last_us, 1, 2);
    assert_true(c.known);
    assert_true(server_clock_to_mono_us(&c, INT64_MAX) == server_clock_to_mono_us(&c, last_us));
    assert_true(server_clock_to_mono_us(&c, INT64_MIN) == server_clock_to_mono_us(&c, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks_run),
        cmocka_unit_test(test_unknown_clock_shows_zero),
        cmocka_unit_test(test_first_sample_is_upper_bound),
        cmocka_unit_test(test_quicker_question_lowers_bound),
        cmocka_unit_test(test_slow_question_keeps_bound),
        cmocka_unit_test(test_times_that_are_none_are_ignored),
        cmocka_unit_test(test_steps_are_followed),
        cmocka_unit_test(test_answers_read_out_of_order),
        cmocka_unit_test(test_bound_rises_under_load),
        cmocka_unit_test(test_close_with_drift_and_noise),
        cmocka_unit_test(test_bound_rises_between_samples),
        cmocka_unit_test(test_waking_moment_is_late_enough),
        cmocka_unit_test(test_far_moments_do_not_overflow),
        cmocka_unit_test(test_host_offset),
        cmocka_unit_test(test_the_hosts_clock),
        cmocka_unit_test(test_the_end_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
