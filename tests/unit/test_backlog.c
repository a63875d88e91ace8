/* Backlog mode: what it asks of Redis, and when its pass begins and ends. The pass, the workers and
 * the queue are stood in for. */
#include "sweep/backlog.h"

#include "base/clock.h"
#include "link/loop.h"
#include "queue/due_queue.h"
#include "queue/repair.h"
#include "release/parts.h"
#include "release/refusals.h"
#include "shop_queue.h"
#include "store/statements.h"
#include "sweep/workers.h"

#include "recorded_pass.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct {
    due_role_cb *on_role;
    due_error_cb *on_resigned;
    due_walked_cb *on_walked;
    void *arg, *walk_arg;
    char cursor[8]; /* of the step that was asked for last; "": none was */
    int asked, resigned;
    bool usable;
} redis;
static int barred, cleared; /* of the pass */
static int changes;
static struct mapping_types types;
static struct parts parts;
static struct backlog *backlog;

int64_t pass_heard_us(const struct pass *p)
{
    (void)p;
    return clock_mono_us();
}

struct refusals *pass_refusals(struct pass *p)
{
    return (struct refusals *)(void *)p;
}

bool refusals_bar(struct refusals *r, const char *id)
{
    (void)r;
    (void)id;
    barred++;
    return true;
}

void refusals_clear(struct refusals *r)
{
    (void)r;
    cleared++;
}

int due_queue_role(struct due_queue *q, const char *role, const char *name, int64_t ttl_ms,
                   due_role_cb *cb, void *arg)
{
    (void)q;
    (void)name;
    assert_string_equal(role, "backlog");
    assert_true(ttl_ms > 0);
    redis.on_role = cb;
    redis.arg = arg;
    redis.asked++;
    return 0;
}

int due_queue_role_release(struct due_queue *q, const char *role, const char *name,
                           due_error_cb *cb, void *arg)
{
    (void)q;
    (void)name;
    assert_string_equal(role, "backlog");
    redis.on_resigned = cb;
    redis.arg = arg;
    redis.resigned++;
    return 0;
}

void due_holder_name(char name[DUE_HOLDER_SIZE])
{
    snprintf(name, DUE_HOLDER_SIZE, "this one");
}

int due_queue_walk(struct due_queue *q, enum due_place place, const char *cursor, due_walked_cb *cb,
                   void *arg)
{
    (void)q;
    assert_int_equal(place, DUE_IN_FAILED);
    snprintf(redis.cursor, sizeof(redis.cursor), "%s", cursor);
    redis.on_walked = cb;
    redis.walk_arg = arg;
    return 0;
}

struct pg_link *const *workers_links(const struct workers *w, int *n)
{
    (void)w;
    *n = 0;
    return NULL;
}

struct engine *workers_engine(const struct workers *w)
{
    (void)w;
    return NULL;
}

bool workers_can_read(const struct workers *w)
{
    (void)w;
    return true;
}

bool statements_ready(const struct statements *s)
{
    (void)s;
    return true;
}

const struct mapping_types *statements_types(const struct statements *s)
{
    (void)s;
    return &types;
}

bool parts_redis_usable(const struct parts *s)
{
    (void)s;
    return redis.usable;
}

static void on_change(void *arg)
{
    (void)arg;
    changes++;
}

static int set_up(void **state)
{
    (void)state;
    memset(&pass, 0, sizeof(pass));
    memset(&redis, 0, sizeof(redis));
    redis.usable = true;
    barred = cleared = changes = 0;
    types =
        (struct mapping_types){.queue = &shop_queue, .counter_unique = true, .whole_units = true};
    parts = (struct parts){.loop = loop_new()};
    backlog = backlog_new(&parts, NULL, on_change, NULL);
    return backlog != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    backlog_free(backlog);
    loop_free(parts.loop);
    return 0;
}

static bool may_claim(void)
{
    int64_t wake_us;
    return backlog_may_claim(backlog, &wake_us);
}

static void walked(const char *cursor, const char *id)
{
    const struct due_found found = {.id = {id, strlen(id)}};
    redis.cursor[0] = '\0';
    redis.on_walked(redis.walk_arg, cursor, &found, 1, NULL);
}

/* More is due than claims are for, and this sweeper gets the role. */
static void get_role(void)
{
    backlog_claimed(backlog, true, 1000000);
    assert_int_equal(redis.asked, 1);
    redis.on_role(redis.arg, true, 5000, "this one", NULL);
    assert_string_equal(redis.cursor, "0");
}

static void assert_it_runs(void)
{
    assert_int_equal(pass.runs, 1);
    assert_int_equal(pass.min_overdue_us, 0);
}

static void enter(void)
{
    get_role();
    walked("0", "a");
    assert_it_runs();
    assert_false(may_claim());
}

static void pass_ends(uint64_t released)
{
    const struct pass_result result = {.ok = true, .released = released};
    pass_over(&result);
}

static void test_its_role_is_given_up(void **state)
{
    (void)state;
    enter();
    pass_ends(100000);
    assert_int_equal(redis.resigned, 1);
    assert_false(may_claim()); /* until Redis has said so */
    redis.on_resigned(redis.arg, NULL);
    assert_true(may_claim());
    assert_true(backlog_idle(backlog));
}

/* Step by step, until there are no more; only then the pass begins. */
static void test_all_records_are_read(void **state)
{
    (void)state;
    get_role();
    assert_int_equal(cleared, 1);
    walked("7", "a");
    assert_string_equal(redis.cursor, "7");
    assert_int_equal(pass.runs, 0);
    walked("0", "b");
    assert_string_equal(redis.cursor, "");
    assert_it_runs();
    assert_int_equal(barred, 2);
}

static void test_records_that_cannot_be_read(void **state)
{
    (void)state;
    get_role();
    redis.on_walked(redis.walk_arg, "0", NULL, 0, "Redis is down");
    assert_int_equal(pass.runs, 0);
    assert_int_equal(redis.resigned, 1);
    redis.on_resigned(redis.arg, NULL);
    assert_true(may_claim());
}

/* Direct mode takes over. */
static void test_it_ends_without_redis(void **state)
{
    (void)state;
    enter();
    backlog_redis_changed(backlog);
    assert_false(pass.stopped);
    redis.usable = false;
    backlog_redis_changed(backlog);
    assert_true(pass.stopped);
    pass_ends(100);
    assert_int_equal(redis.resigned, 0);
    assert_true(may_claim());
}

static void test_another_has_the_role(void **state)
{
    (void)state;
    backlog_claimed(backlog, true, 1000000);
    redis.on_role(redis.arg, false, 5000, "another", NULL);
    assert_int_equal(pass.runs, 0);
    assert_string_equal(redis.cursor, "");
    assert_false(may_claim());
    assert_true(backlog_idle(backlog));
}

static void test_a_stop(void **state)
{
    (void)state;
    enter();
    backlog_stop(backlog);
    assert_true(pass.stopped);
    assert_false(backlog_idle(backlog));
    pass_ends(100);
    redis.on_resigned(redis.arg, NULL);
    assert_true(backlog_idle(backlog));
    backlog_claimed(backlog, true, 1000000);
    assert_int_equal(redis.asked, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_its_role_is_given_up),        TEST(test_all_records_are_read),
        TEST(test_records_that_cannot_be_read), TEST(test_it_ends_without_redis),
        TEST(test_another_has_the_role),        TEST(test_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
