/* How far the search goes for whose lock it was that a release met inside. */
#include "release/conflicts.h"
#include "unit.h"

#include <stdbool.h>
#include <string.h>

#define MS 1000
#define ALL 600

/* Drives a search over n reservations as a batch does: how many attempts failed, and which are
 * left: 1 alone, 2 among others. Each attempt in vain takes wait_us, others 1 ms. */
struct search {
    bool locked[ALL];
    int left[ALL];
    int attempts;
    int64_t now_us;
};

static void go(struct search *s, struct conflicts *c, size_t first, size_t n, int64_t wait_us)
{
    struct {
        size_t first, n;
    } stack[64] = {{first, n}}, r;
    size_t depth = 1;
    while (depth > 0) {
        bool blocked = false;
        r.first = stack[--depth].first;
        r.n = stack[depth].n;
        for (size_t i = r.first; i < r.first + r.n; i++)
            blocked = blocked || s->locked[i];
        s->attempts++;
        s->now_us += blocked ? wait_us : MS;
        if (!blocked) {
            conflicts_passed(c);
            continue;
        }
        switch (conflicts_met(c, r.n, s->now_us)) {
        case CONFLICT_REPEAT:
            depth++;
            break;
        case CONFLICT_HALVE:
            stack[depth].first = r.first + r.n / 2;
            stack[depth++].n = r.n - r.n / 2;
            stack[depth].first = r.first;
            stack[depth++].n = r.n / 2;
            break;
        case CONFLICT_LEAVE:
            for (size_t i = r.first; i < r.first + r.n; i++)
                s->left[i] = r.n == 1 ? 1 : 2;
            break;
        }
    }
}

static struct search run(const struct conflict_limits *limits, size_t every, int64_t wait_us)
{
    struct search s;
    struct conflicts c = {.limits = limits};
    memset(&s, 0, sizeof(s));
    for (size_t i = 7; i < ALL; i += every)
        s.locked[i] = true;
    go(&s, &c, 0, ALL, wait_us);
    return s;
}

static int count(const struct search *s, int left)
{
    int n = 0;
    for (size_t i = 0; i < ALL; i++)
        n += s->left[i] == left ? 1 : 0;
    return n;
}

static void one_is_found_however_long_it_takes(void **state)
{
    (void)state;
    const int64_t waits_us[] = {2 * MS, 100 * MS, 4000 * MS};
    for (size_t i = 0; i < 3; i++) {
        struct search s = run(&conflict_limits_first, ALL, waits_us[i]);
        assert_int_equal(count(&s, 1), 1);
        assert_int_equal(count(&s, 2), 0);
        assert_int_equal(s.left[7], 1);
        assert_true(s.attempts <= 25);
    }
}

static void several_are_found(void **state)
{
    (void)state;
    struct search s = run(&conflict_limits_first, 30, 4 * MS);
    assert_int_equal(count(&s, 1), 20);
    assert_int_equal(count(&s, 2), 0);
}

static void what_is_locked_altogether_is_not_searched_for_long(void **state)
{
    (void)state;
    struct search s;
    struct conflicts c = {.limits = &conflict_limits_first};
    memset(&s, 0, sizeof(s));
    memset(s.locked, 1, sizeof(s.locked));
    go(&s, &c, 0, ALL, 20 * MS);
    assert_int_equal(count(&s, 1) + count(&s, 2), ALL);
    assert_true(s.attempts < 50);
    assert_true(s.now_us < 1000 * MS);
    assert_false(c.passed);
}

static void many_are_searched_for_a_second(void **state)
{
    (void)state;
    struct search s = run(&conflict_limits_first, 2, 20 * MS);
    assert_true(s.now_us < 2000 * MS);
    assert_true(count(&s, 1) > 10);
}

static void those_that_are_known_are_not_repeated(void **state)
{
    (void)state;
    struct conflicts c = {.limits = &conflict_limits_known};
    assert_int_equal(conflicts_met(&c, 1, MS), CONFLICT_LEAVE);
    struct search s = run(&conflict_limits_known, ALL, 2 * MS);
    assert_int_equal(count(&s, 1), 1);
}

static void the_same_is_tried_three_times(void **state)
{
    (void)state;
    struct conflicts c = {.limits = &conflict_limits_first};
    assert_int_equal(conflicts_met(&c, 1, MS), CONFLICT_REPEAT);
    assert_int_equal(conflicts_met(&c, 1, 2 * MS), CONFLICT_REPEAT);
    assert_int_equal(conflicts_met(&c, 1, 3 * MS), CONFLICT_LEAVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_found_however_long_it_takes),
        cmocka_unit_test(several_are_found),
        cmocka_unit_test(what_is_locked_altogether_is_not_searched_for_long),
        cmocka_unit_test(many_are_searched_for_a_second),
        cmocka_unit_test(those_that_are_known_are_not_repeated),
        cmocka_unit_test(the_same_is_tried_three_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
