/* When the next claim is made, and whether there is room for what it brings. */
#include "sweep/pace.h"
#include "unit.h"

#define SLEEP_US (500 * MS_US)
#define PACE_US (5 * MS_US)
#define NOW_US (1000 * SECOND_US)
#define NEVER INT64_MAX

static struct pace fresh(void)
{
    struct pace p;
    pace_init(&p, SLEEP_US, PACE_US);
    return p;
}

/* One whose last claim, just now, brought n, of at most ten. */
static struct pace claimed(size_t n, int64_t next_ms)
{
    struct pace p = fresh();
    pace_asked(&p, NOW_US);
    pace_claimed(&p, n, 10, next_ms);
    return p;
}

static void test_at_first(void **state)
{
    const struct pace p = fresh();
    (void)state;
    assert_true(pace_next_us(&p, NEVER) < 0);
    assert_int_equal(p.next_ms, INT64_MAX);
    assert_false(p.backlog);
}

static void test_nothing_known(void **state)
{
    const struct pace p = claimed(0, INT64_MAX);
    (void)state;
    assert_int_equal(pace_next_us(&p, NEVER), NOW_US + SLEEP_US);
}

/* After a quiet moment what comes due goes at once; never later than the longest sleep. */
static void test_due(void **state)
{
    const struct pace p = claimed(0, 7);
    (void)state;
    assert_int_equal(p.next_ms, 7);
    assert_int_equal(pace_next_us(&p, NOW_US + 1), NOW_US + 1);
    assert_int_equal(pace_next_us(&p, NOW_US - 1), NOW_US - 1);
    assert_int_equal(pace_next_us(&p, NOW_US + SLEEP_US - 1), NOW_US + SLEEP_US - 1);
    assert_int_equal(pace_next_us(&p, NOW_US + SLEEP_US + 1), NOW_US + SLEEP_US);
}

/* Under load batches begin at least the pace apart, also when there was an empty one between. */
static void test_pace(void **state)
{
    struct pace p = claimed(9, 7);
    (void)state;
    assert_int_equal(pace_next_us(&p, NOW_US), NOW_US + PACE_US);
    assert_int_equal(pace_next_us(&p, NOW_US + PACE_US + 1), NOW_US + PACE_US + 1);
    pace_asked(&p, NOW_US + 1);
    pace_claimed(&p, 0, 10, 7);
    assert_int_equal(pace_next_us(&p, NOW_US), NOW_US + PACE_US);
    pace_asked(&p, NOW_US + 2);
    pace_claimed(&p, 1, 10, 7);
    assert_int_equal(pace_next_us(&p, NOW_US), NOW_US + 2 + PACE_US);
}

/* A full batch never waits, until one is not full. */
static void test_backlog(void **state)
{
    struct pace p = claimed(10, 7);
    (void)state;
    assert_true(p.backlog);
    assert_true(pace_next_us(&p, NEVER) < 0);
    pace_claimed(&p, 9, 10, 7);
    assert_false(p.backlog);
    assert_int_equal(pace_next_us(&p, NOW_US), NOW_US + PACE_US);
}

/* Redis is not hammered, whatever is due. */
static void test_after_an_error(void **state)
{
    struct pace p = claimed(10, 7);
    (void)state;
    pace_failed(&p, NOW_US + 3);
    assert_false(p.backlog);
    assert_int_equal(p.next_ms, INT64_MAX);
    assert_int_equal(pace_next_us(&p, NOW_US), NOW_US + 3 + PACE_AFTER_ERROR_US);
    p.backlog = true;
    assert_int_equal(pace_next_us(&p, NOW_US), NOW_US + 3 + PACE_AFTER_ERROR_US);
    p.backlog = false;
    assert_int_equal(pace_next_us(&p, NOW_US + SECOND_US), NOW_US + SLEEP_US);
}

static void test_expect(void **state)
{
    struct pace p = claimed(0, 7);
    (void)state;
    assert_false(pace_expect(&p, 7));
    assert_false(pace_expect(&p, 8));
    assert_int_equal(p.next_ms, 7);
    assert_true(pace_expect(&p, 6));
    assert_int_equal(p.next_ms, 6);
    assert_false(pace_expect(&p, INT64_MAX));
}

/* What was known of Redis counts no more, and it is looked at at once, but for the pace. */
static void test_redis_changed(void **state)
{
    struct pace p = claimed(10, 7);
    (void)state;
    pace_redis_changed(&p);
    assert_int_equal(p.next_ms, INT64_MAX);
    assert_false(p.backlog);
    assert_int_equal(pace_next_us(&p, NEVER), NOW_US + PACE_US);
}

static void test_room(void **state)
{
    static const struct {
        int idle, usable, waiting;
        bool backlog, room;
    } rows[] = {
        {0, 0, 0, false, false}, {0, 0, 0, true, false}, /* no lane is of use */
        {1, 1, 0, false, true},  {1, 1, 0, true, true},
        {0, 1, 0, false, false}, {0, 1, 0, true, true},  /* ahead, only in a backlog */
        {0, 1, 1, true, false},  {0, 2, 1, true, true},  /* ... one for each lane */
        {1, 4, 1, false, false}, {2, 4, 1, false, true}, /* what waits takes an idle one */
        {0, 4, 4, true, false},  {4, 4, 4, true, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct pace p = {.backlog = rows[i].backlog};
        assert_int_equal(pace_has_room(&p, rows[i].idle, rows[i].usable, rows[i].waiting),
                         rows[i].room);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_first), cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_due),      cmocka_unit_test(test_pace),
        cmocka_unit_test(test_backlog),  cmocka_unit_test(test_after_an_error),
        cmocka_unit_test(test_expect),   cmocka_unit_test(test_redis_changed),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
