/* A drain: a pass, then again what was locked. Passes are stood in for. */
#include "release/drain.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "release/parts.h"

#include "recorded_pass.h"
#include "unit.h"

#include <string.h>

#define ALWAYS_US MINUTE_US

static struct {
    void (*on_item)(void *arg, const struct item *item);
    void *arg;
} watch;
static struct loop *loop;
static struct timer *limit;
static struct parts parts;
static struct drain *drain;
static int items, last_ones; /* that were told of */
static bool over;
static struct drain_result result;

const char *pass_oldest(const struct pass *p, int64_t *since_us)
{
    (void)p;
    *since_us = 0;
    return NULL;
}

int64_t pass_heard_us(const struct pass *p)
{
    (void)p;
    return 0;
}

void pass_watch(struct pass *p, void (*on_item)(void *arg, const struct item *item), void *arg)
{
    (void)p;
    watch.on_item = on_item;
    watch.arg = arg;
}

static void stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void on_item(void *arg, const struct item *item, bool last)
{
    (void)item;
    assert_ptr_equal(arg, &items);
    items++;
    last_ones += last ? 1 : 0;
}

static void on_done(void *arg, const struct drain_result *r)
{
    assert_ptr_equal(arg, &over);
    assert_false(over);
    over = true;
    result = *r;
}

static int set_up(void **state)
{
    (void)state;
    memset(&pass, 0, sizeof(pass));
    over = false;
    items = last_ones = 0;
    loop = loop_new();
    limit = timer_new(loop, stop, NULL);
    parts = (struct parts){.loop = loop};
    const struct drain_options options = {.parts = &parts, .on_item = on_item, .arg = &items};
    drain = drain_new(&options);
    return drain != NULL && limit != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    drain_free(drain);
    timer_free(limit);
    loop_free(loop);
    return 0;
}

/* Longer than the pause before what was locked is tried again. */
static void wait_for_another(void)
{
    int runs = pass.runs;
    for (int i = 0; i < 100 && pass.runs == runs && !over; i++) {
        timer_after_us(limit, within_us(20 * MS_US));
        assert_int_equal(loop_run(loop), 0);
    }
}

/* What was released adds up; of the rest the last pass counts, so that each counts once. */
static void test_locked_ones_are_tried_again(void **state)
{
    const struct pass_result first = {.ok = true,
                                      .error = "",
                                      .released = 3,
                                      .units.whole = 5,
                                      .failed = 1,
                                      .not_yet = 1,
                                      .deferred = 4,
                                      .locked = 2};
    const struct pass_result second = {.ok = true,
                                       .error = "",
                                       .released = 2,
                                       .units.whole = 6,
                                       .failed = 1,
                                       .not_yet = 2,
                                       .deferred = 5};
    (void)state;
    drain_run(drain, DRAIN_NOW, ALWAYS_US, on_done, &over);
    assert_int_equal(pass.min_overdue_us, 0);
    pass_over(&first);
    assert_false(over);
    assert_true(drain_running(drain));
    assert_int_equal(drain_so_far(drain)->released, 3);
    wait_for_another();
    assert_int_equal(pass.runs, 2);
    pass_over(&second);
    assert_true(over && result.ok);
    assert_false(drain_running(drain));
    assert_int_equal(result.released, 5);
    assert_int_equal(result.units.whole, 11);
    assert_int_equal(result.refused, 3);
    assert_int_equal(result.deferred, 5);
    assert_int_equal(result.locked, 0);
    drain_run(drain, DRAIN_NOW, ALWAYS_US, on_done, &over);
    assert_int_equal(drain_so_far(drain)->released, 0); /* of this run */
}

static void test_not_without_time(void **state)
{
    const struct pass_result locked = {.ok = true, .error = "", .locked = 2};
    (void)state;
    drain_run(drain, DRAIN_NOW, 0, on_done, &over);
    pass_over(&locked);
    assert_true(over && result.ok);
    assert_int_equal(result.locked, 2);
}

static void test_not_after_an_error(void **state)
{
    const struct pass_result lost = {.error = "gone", .lost = true, .locked = 2};
    (void)state;
    drain_run(drain, DRAIN_NOW, ALWAYS_US, on_done, &over);
    pass_over(&lost);
    assert_true(over && !result.ok && result.lost);
    assert_string_equal(result.error, "gone");
}

static void test_stopped_during_a_pass(void **state)
{
    const struct pass_result locked = {.ok = true, .error = "", .locked = 2};
    (void)state;
    drain_run(drain, DRAIN_NOW, ALWAYS_US, on_done, &over);
    drain_stop(drain);
    assert_true(pass.stopped);
    assert_false(over);
    pass_over(&locked);
    assert_true(over);
    drain_stop(drain); /* nothing is left to stop */
    /* The next run is another. */
    over = false;
    drain_run(drain, DRAIN_NOW, ALWAYS_US, on_done, &over);
    pass_over(&locked);
    assert_false(over);
    wait_for_another();
    assert_int_equal(pass.runs, 3);
}

static void test_stopped_between_two(void **state)
{
    const struct pass_result locked = {.ok = true, .error = "", .locked = 2};
    (void)state;
    drain_run(drain, DRAIN_NOW, ALWAYS_US, on_done, &over);
    pass_over(&locked);
    drain_stop(drain);
    assert_false(over); /* not from inside the call */
    wait_for_another();
    assert_true(over);
    assert_int_equal(pass.runs, 1);
    assert_false(pass.stopped);
}

/* Whether another pass may follow is known when one begins. */
static void test_what_is_said_of_each(void **state)
{
    const struct pass_result locked = {.ok = true, .error = "", .locked = 1};
    (void)state;
    drain_run(drain, DRAIN_NOW, ALWAYS_US, on_done, &over);
    watch.on_item(watch.arg, NULL);
    pass_over(&locked);
    assert_int_equal(items, 1);
    assert_int_equal(last_ones, 0);
    int64_t then_us = clock_mono_us();
    wait_for_another();
    assert_true(clock_mono_us() - then_us >= 100 * MS_US); /* others need time to be done */
    drain_stop(drain);
    pass_over(&locked);
    assert_true(over);
    over = false;
    drain_run(drain, DRAIN_NOW, 0, on_done, &over);
    watch.on_item(watch.arg, NULL);
    assert_int_equal(items, 2);
    assert_int_equal(last_ones, 1);
}

/* What was due then, however long ago that is by now. */
static void test_what_was_due_at_a_moment(void **state)
{
    (void)state;
    int64_t before_us = clock_mono_us();
    drain_run(drain, before_us - SECOND_US, 0, on_done, &over);
    assert_in_range(pass.min_overdue_us, SECOND_US, SECOND_US + clock_mono_us() - before_us);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_locked_ones_are_tried_again), TEST(test_not_without_time),
        TEST(test_not_after_an_error),          TEST(test_stopped_during_a_pass),
        TEST(test_stopped_between_two),         TEST(test_what_is_said_of_each),
        TEST(test_what_was_due_at_a_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
