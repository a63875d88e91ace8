/* When the feed's link has slept through the loss of another one; when a pooler has moved. */
#include "link/loop.h"
#include "store/pg_watch.h"
#include "unit.h"

#define FEED PG_WATCH_FEED
#define LINKS 3

static struct loop *loop;
static struct pg_outage *outage;
static struct pg_watch *watch;
static int slept, moved;

static void on_slept(void *arg)
{
    assert_ptr_equal(arg, &slept);
    slept++;
}

static void on_moved(void *arg)
{
    assert_ptr_equal(arg, &slept);
    moved++;
}

static void say(int link, bool up)
{
    pg_watch_link(watch, link, up, up ? "" : "gone");
}

static int set_up(void **state)
{
    static char address[] = "somewhere";
    static char *const shown = address;
    (void)state;
    loop = loop_new();
    outage = pg_outage_new(loop, &shown);
    watch = pg_watch_new(outage, LINKS);
    slept = moved = 0;
    pg_watch_on_loss(watch, on_slept, on_moved, &slept);
    for (int i = 0; i < LINKS; i++)
        say(i, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pg_watch_free(watch);
    pg_outage_free(outage);
    loop_free(loop);
    return 0;
}

static void not_at_first(void **state)
{
    (void)state;
    say(1, false);
    assert_int_equal(slept, 0); /* nobody answers yet */
    say(1, false);
    assert_int_equal(slept, 0);
    say(1, true);
    assert_int_equal(slept, 1);
    say(1, true);
    say(2, true);
    assert_int_equal(slept, 1);
}

/* One look is for all that were lost before it. */
static void once_for_all(void **state)
{
    (void)state;
    say(1, false);
    say(2, false);
    say(1, true);
    say(2, true);
    assert_int_equal(slept, 1);
    say(2, false);
    say(2, true);
    assert_int_equal(slept, 2);
}

/* Its own return brings a look of its own, whichever is lost or back first. */
static void not_when_it_was_lost_too(void **state)
{
    static const int orders[][6] = {
        /* lost: -, back: + */
        {-1, -9, 9, 1}, {-1, -9, 1, 9}, {-9, -1, 9, 1}, {-9, -1, 1, 9}, {-1, -2, -9, 9, 2, 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(orders); i++) {
        for (size_t j = 0; j < 6 && orders[i][j] != 0; j++) {
            int link = abs(orders[i][j]);
            say(link == 9 ? FEED : link, orders[i][j] > 0);
        }
        assert_int_equal(slept, 0);
    }
}

/* One outage, whichever queue's link meets it first and is back last. */
static void several_queues(void **state)
{
    struct pg_watch *other = pg_watch_new(outage, 2);
    (void)state;
    pg_watch_link(other, FEED, true, "");
    pg_watch_link(other, 1, false, "gone");
    say(1, false);
    assert_int_equal(slept, 0);
    say(1, true);
    assert_int_equal(slept, 1); /* of its own queue's links alone */
    pg_watch_link(other, 1, true, "");
    assert_int_equal(slept, 1);
    pg_watch_free(other);
}

/* Each worker meets the other server by itself. */
static void a_move_is_told_once(void **state)
{
    (void)state;
    pg_watch_moved(watch, 2);
    pg_watch_moved(watch, 2);
    assert_int_equal(moved, 1);
    pg_watch_moved(watch, 1);
    assert_int_equal(moved, 2);
    assert_int_equal(slept, 0);
    pg_watch_moved(NULL, 2);
}

static void nobody_asks(void **state)
{
    (void)state;
    pg_watch_on_loss(watch, NULL, NULL, NULL);
    say(1, false);
    say(1, true);
    pg_watch_moved(watch, 2);
    assert_int_equal(slept + moved, 0);
    pg_watch_on_loss(NULL, on_slept, on_moved, NULL);
    pg_watch_link(NULL, 1, true, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(not_at_first),   TEST(once_for_all),        TEST(not_when_it_was_lost_too),
        TEST(several_queues), TEST(a_move_is_told_once), TEST(nobody_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
