/* The last hour, minute by minute. */
#include "base/time_units.h"
#include "health/history.h"
#include "unit.h"

#include <math.h>
#include <string.h>

#define M(n) ((n)*MINUTE_US)

static struct stats stats;
static struct history history;

static int set_up(void **state)
{
    (void)state;
    stats_init(&stats);
    memset(&history, 0, sizeof(history));
    return 0;
}

static void released(int n, double lateness_s, int64_t overdue_us, int64_t mono_us)
{
    for (int i = 0; i < n; i++)
        stats_observe(&stats.lateness_s, lateness_s);
    history_note(&history, &stats.lateness_s, overdue_us, mono_us);
}

static uint64_t released_in(int i)
{
    return history_released(history_at(&history, i));
}

static void each_minute_has_its_own(void **state)
{
    (void)state;
    assert_int_equal(history_minutes(&history), 0);
    released(3, 0.002, 9, M(100));
    released(2, 0.002, 5, M(100) + 59 * SECOND_US);
    released(4, 0.002, 0, M(101));
    released(0, 0, 0, M(103));
    released(1, 0.002, 0, M(103) + 1);
    assert_int_equal(history_minutes(&history), 4);
    assert_int_equal(released_in(0), 5);
    assert_int_equal(history_at(&history, 0)->overdue_us, 9); /* the most */
    assert_int_equal(released_in(1), 4);
    assert_int_equal(history_at(&history, 1)->overdue_us, 0);
    assert_int_equal(released_in(2), 0);
    assert_int_equal(released_in(3), 1);
    struct history_minute hour = history_hour(&history);
    assert_int_equal(history_released(&hour), 10);
    assert_int_equal(hour.overdue_us, 9);
}

/* What is older than an hour is forgotten; so is what lies before a long silence. */
static void an_hour_and_no_more(void **state)
{
    (void)state;
    for (int i = 0; i < 70; i++)
        released(i, 0.002, 0, M(i));
    assert_int_equal(history_minutes(&history), HISTORY_MINUTES);
    assert_int_equal(released_in(0), 10);
    assert_int_equal(released_in(HISTORY_MINUTES - 1), 69);
    released(1, 0.002, 0, M(70 + 30));
    assert_int_equal(history_minutes(&history), HISTORY_MINUTES);
    assert_int_equal(released_in(0), 41);
    assert_int_equal(released_in(HISTORY_MINUTES - 2), 0);
    assert_int_equal(released_in(HISTORY_MINUTES - 1), 1);
    released(2, 0.002, 0, M(10000));
    assert_int_equal(history_minutes(&history), HISTORY_MINUTES);
    assert_int_equal(released_in(HISTORY_MINUTES - 1), 2);
    struct history_minute hour = history_hour(&history);
    assert_int_equal(history_released(&hour), 2);
}

/* Two queues, of which one began earlier, and one has seen the newest minute. */
static void queues_are_added_up(void **state)
{
    struct history other, sum = {.begun = false}, none = {.begun = false};
    (void)state;
    released(1, 0.002, 7, M(200));
    released(2, 0.002, 0, M(202));
    other = history;
    set_up(NULL);
    released(10, 0.3, 0, M(199));
    released(20, 0.3, 3, M(200));
    released(40, 0.3, 0, M(203));
    history_add(&sum, &none);
    assert_int_equal(history_minutes(&sum), 0);
    history_add(&sum, &other);
    history_add(&sum, &history);
    history_add(&sum, &none);
    static const uint64_t expected[] = {10, 21, 0, 2, 40};
    assert_int_equal(history_minutes(&sum), ARRAY_LEN(expected));
    for (int i = 0; i < (int)ARRAY_LEN(expected); i++)
        assert_int_equal(history_released(history_at(&sum, i)), expected[i]);
    assert_int_equal(history_at(&sum, 1)->overdue_us, 7);

    /* The other way round it is the same; what is older than the newest's hour is left out. */
    struct history turned = {.begun = false};
    history_add(&turned, &history);
    history_add(&turned, &other);
    assert_int_equal(history_minutes(&turned), ARRAY_LEN(expected));
    assert_int_equal(history_released(history_at(&turned, 1)), 21);
    released(5, 0.3, 0, M(259));
    memset(&turned, 0, sizeof(turned));
    history_add(&turned, &history);
    history_add(&turned, &other);
    assert_int_equal(history_minutes(&turned), HISTORY_MINUTES);
    assert_int_equal(history_released(history_at(&turned, 0)), 21);
}

static void is_near(double value, double expected)
{
    if (!(fabs(value - expected) < 1e-9))
        fail_msg("%.9f, not %.9f", value, expected);
}

static void quantiles(void **state)
{
    const struct history_minute *m;
    (void)state;
    released(0, 0, 0, M(1));
    m = history_at(&history, 0);
    is_near(history_quantile_s(m, &stats.lateness_s, 0.5), 0);
    released(50, 0.0015, 0, M(1));
    is_near(history_quantile_s(m, &stats.lateness_s, 0.5), 0.0015);
    is_near(history_quantile_s(m, &stats.lateness_s, 1), 0.002);
    released(50, 0.15, 0, M(1));
    is_near(history_quantile_s(m, &stats.lateness_s, 0.5), 0.002);
    is_near(history_quantile_s(m, &stats.lateness_s, 0.99), 0.1 + 0.15 * 0.98);
    released(100, 1000, 0, M(1)); /* beyond the last bound */
    is_near(history_quantile_s(m, &stats.lateness_s, 0.99), 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_minute_has_its_own, set_up),
        cmocka_unit_test_setup(an_hour_and_no_more, set_up),
        cmocka_unit_test_setup(queues_are_added_up, set_up),
        cmocka_unit_test_setup(quantiles, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
