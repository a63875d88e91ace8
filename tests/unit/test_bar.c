/* How far long work has come, as a line: what is in it, and that it fits. */
#include "base/bar.h"

#include "base/time_units.h"
#include "unit.h"

#include <string.h>

#define BEGAN_US SECOND_US

static struct bar half_way(void)
{
    return (struct bar){.phase = "releasing",
                        .done = 1234567,
                        .total = 2469134,
                        .to = 1,
                        .began_us = BEGAN_US,
                        .phase_began_us = BEGAN_US};
}

static void expect(const struct bar *bar, int64_t after_us, int columns, const char *line)
{
    char out[BAR_LINE];
    int64_t now_us = BEGAN_US + after_us;
    bar_line(bar, bar_share(bar, now_us), now_us, columns, out);
    assert_string_equal(out, line);
}

static void test_what_it_says(void **state)
{
    (void)state;
    struct bar bar = half_way();
    expect(&bar, 10 * SECOND_US, 120,
           "releasing [###############...............]  50%  1,234,567 of 2,469,134  "
           "123,456 a second  10 s left");
    bar.queue = "carts";
    bar.phase_began_us += 5 * SECOND_US;
    expect(&bar, 125 * SECOND_US, 120,
           "carts: releasing [###############...............]  50%  1,234,567 of 2,469,134  "
           "10,288 a second  2 min 5 s left");
    bar.queue = NULL;
    bar.total = bar.done = 0;
    bar.phase_began_us = BEGAN_US;
    expect(&bar, 400 * MS_US, 60, "releasing [##............................]   7%  0 s");
    bar.done = 7;
    expect(&bar, 2 * 3600 * SECOND_US, 80,
           "releasing [#############################.]  99%  7  0 a second  2 h 0 min");
}

/* What matters least goes first. */
static void test_what_there_is_no_room_for(void **state)
{
    (void)state;
    const struct bar bar = half_way();
    expect(&bar, 10 * SECOND_US, 80,
           "releasing [####.....]  50%  1,234,567 of 2,469,134  123,456 a second  10 s left");
    expect(&bar, 10 * SECOND_US, 60, "releasing [###....]  50%  1,234,567 of 2,469,134  10 s left");
    expect(&bar, 10 * SECOND_US, 40, "releasing [#####......]  50%  10 s left");
    expect(&bar, 10 * SECOND_US, 30, "releasing  50%  10 s left");
    expect(&bar, 10 * SECOND_US, 6, " 50%");
    expect(&bar, 10 * SECOND_US, 1, "");
}

static void test_it_fits(void **state)
{
    (void)state;
    struct bar bar = half_way();
    char out[BAR_LINE];
    bar.queue = "a-queue-whose-name-has-forty-characters0";
    bar.done = bar.total = INT64_MAX;
    for (int columns = 0; columns < 400; columns++) {
        bar_line(&bar, 1, BEGAN_US + 60 * SECOND_US, columns, out);
        assert_true((int)strlen(out) < (columns > 0 ? columns : 1));
    }
}

/* Phases are parts of the whole; one whose end is not known comes closer to it, and never there. */
static void test_shares(void **state)
{
    (void)state;
    struct bar bar = half_way();
    bar.from = 0.2;
    bar.to = 0.6;
    assert_true(bar_share(&bar, BEGAN_US) > 0.399 && bar_share(&bar, BEGAN_US) < 0.401);
    bar.done = bar.total + 1;
    assert_true(bar_share(&bar, BEGAN_US) > 0.599 && bar_share(&bar, BEGAN_US) < 0.601);
    bar.total = 0;
    double last = 0.2;
    for (int64_t us = SECOND_US; us < 1000 * SECOND_US; us *= 2) {
        double share = bar_share(&bar, BEGAN_US + us);
        assert_true(share > last && share < 0.6);
        last = share;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_says),
        cmocka_unit_test(test_what_there_is_no_room_for),
        cmocka_unit_test(test_it_fits),
        cmocka_unit_test(test_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
