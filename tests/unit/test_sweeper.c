/* When the sweeper claims, and what it has held until then. Claims, lanes and the link are stood in
 * for. */
#include "sweep/sweeper.h"

#include "base/time_units.h"
#include "config/config.h"
#include "link/loop.h"
#include "link/redis_link.h"
#include "release/engine.h"
#include "release/first_run.h"
#include "release/parts.h"
#include "release/pause.h"
#include "sweep/backlog.h"
#include "sweep/claims.h"
#include "sweep/kept_walk.h"
#include "sweep/workers.h"
#include "unit.h"

#include <string.h>

static struct {
    struct claims_events events;
    int asked;
    int64_t put_back_ms;
    bool idle;
} claims;
static struct {
    event_cb *on_change;
    void *arg;
    int idle;
} lanes;
static struct {
    int times;
    int64_t until_us;
} held;
static struct {
    event_cb *on_change;
    void *arg;
    size_t due_left; /* that it was told of */
    bool on;         /* no claim may be made */
    bool idle;
} backlog;
static bool redis_usable, may_release, paused;

struct backlog *backlog_new(struct parts *parts, struct workers *workers, event_cb *on_change,
                            void *arg)
{
    (void)parts;
    (void)workers;
    backlog.on_change = on_change;
    backlog.arg = arg;
    return (struct backlog *)(void *)&backlog;
}

struct kept_walk *kept_walk_new(struct parts *p)
{
    return (struct kept_walk *)(void *)p;
}

void kept_walk_free(struct kept_walk *w)
{
    (void)w;
}

void backlog_free(struct backlog *b)
{
    (void)b;
}

void backlog_claimed(struct backlog *b, bool full, size_t due_left)
{
    (void)b;
    backlog.due_left = full ? due_left : 0;
}

bool backlog_may_claim(struct backlog *b, int64_t *wake_us)
{
    (void)b;
    *wake_us = INT64_MAX;
    return !backlog.on;
}

void backlog_redis_changed(struct backlog *b)
{
    (void)b;
}

void backlog_stop(struct backlog *b)
{
    (void)b;
}

void backlog_abandon(struct backlog *b)
{
    (void)b;
}

bool backlog_idle(const struct backlog *b)
{
    (void)b;
    return backlog.idle;
}

struct claims *claims_new(struct parts *parts, struct engine *engine,
                          const struct claims_events *events)
{
    (void)parts;
    (void)engine;
    claims.events = *events;
    return (struct claims *)(void *)&claims;
}

void claims_free(struct claims *c)
{
    (void)c;
}

int claims_ask(struct claims *c)
{
    (void)c;
    claims.asked++;
    return 0;
}

int claims_waiting(const struct claims *c)
{
    (void)c;
    return 0;
}

int64_t claims_put_back_ms(const struct claims *c)
{
    (void)c;
    return claims.put_back_ms;
}

bool claims_idle(const struct claims *c)
{
    (void)c;
    return claims.idle;
}

void claims_hand_back(struct claims *c)
{
    (void)c;
}

void claims_abandon(struct claims *c)
{
    (void)c;
}

struct workers *workers_new(struct parts *parts, event_cb *on_change, void *arg)
{
    (void)parts;
    lanes.on_change = on_change;
    lanes.arg = arg;
    return (struct workers *)(void *)&lanes;
}

struct engine *workers_engine(const struct workers *w)
{
    return (struct engine *)(void *)w;
}

void workers_disconnect(struct workers *w)
{
    (void)w;
}

void workers_free(struct workers *w)
{
    (void)w;
}

void workers_start(struct workers *w)
{
    (void)w;
}

void workers_follow_postgres(struct workers *w)
{
    (void)w;
}

bool workers_up(const struct workers *w)
{
    (void)w;
    return true;
}

uint64_t workers_reconnects(const struct workers *w)
{
    (void)w;
    return 0;
}

const char *workers_error(const struct workers *w)
{
    (void)w;
    return "";
}

int engine_idle(const struct engine *e)
{
    (void)e;
    return lanes.idle;
}

int engine_usable(const struct engine *e)
{
    (void)e;
    return 1;
}

void engine_poke(struct engine *e)
{
    (void)e;
    lanes.on_change(lanes.arg);
}

bool parts_redis_usable(const struct parts *s)
{
    (void)s;
    return redis_usable;
}

bool first_run_may_release(const struct first_run *f)
{
    (void)f;
    return may_release;
}

bool pause_lasts(const struct pause *p)
{
    (void)p;
    return paused;
}

void redis_link_hold(struct redis_link *link, int64_t until_us)
{
    (void)link;
    held.times++;
    held.until_us = until_us;
}

/* ---- a sweeper whose first claim was answered ---- */

static struct loop *loop;
static struct parts parts;
static struct config config;
static struct sweeper *sweeper;

static int64_t postgres_ms(int64_t after_ms)
{
    return server_clock_now_us(&parts.pg_clock) / MS_US + after_ms;
}

static void answer(size_t n, int64_t next_ms)
{
    const struct claim_result result = {.ok = true, .n = n, .asked = 500, .next_ms = next_ms};
    claims.events.on_claimed(claims.events.arg, &result);
}

static void begin(int64_t pace_us)
{
    int64_t now_us = clock_mono_us();
    memset(&parts, 0, sizeof(parts));
    memset(&held, 0, sizeof(held));
    claims.asked = 0;
    claims.put_back_ms = INT64_MAX;
    claims.idle = backlog.idle = true;
    backlog.on = false;
    lanes.idle = 1;
    redis_usable = may_release = true;
    paused = false;
    config = (struct config){.max_sleep_us = 500 * MS_US, .pace_us = pace_us};
    loop = loop_new();
    parts.loop = loop;
    parts.config = &config;
    server_clock_sample(&parts.pg_clock, INT64_C(1763942400000000), now_us, now_us);
    sweeper = sweeper_new(&parts);
    assert_non_null(sweeper);
    sweeper_redis_changed(sweeper);
    assert_int_equal(claims.asked, 1);
    assert_int_equal(held.times, 0);
}

static void end(void)
{
    sweeper_free(sweeper);
    loop_free(loop);
}

/* A batch was released, and its settlement sent; once nothing else is told of it. */
static void batch_ends(void)
{
    lanes.idle = 1;
    lanes.on_change(lanes.arg);
}

static void batch_begins(size_t n, int64_t next_ms)
{
    lanes.idle = 0;
    answer(n, next_ms);
}

static void test_what_is_held_for_the_next_claim(void **state)
{
    (void)state;
    begin(0);
    batch_begins(1, postgres_ms(4));
    assert_int_equal(held.times, 0); /* nobody knows yet when the next one is */
    int64_t before_us = clock_mono_us();
    batch_ends();
    if (claims.asked == 1) { /* on a machine that did not take 3 ms for that */
        assert_int_equal(held.times, 1);
        assert_in_range(held.until_us - before_us, 1, 6 * MS_US);
        assert_true(held.until_us > before_us + MS_US); /* a little longer than the claim takes */
    }
    end();
}

static void test_what_is_not_held(void **state)
{
    (void)state;
    /* The next one is far off; or there is none. */
    begin(0);
    batch_begins(1, postgres_ms(400));
    batch_ends();
    assert_int_equal(held.times, 0);
    end();
    begin(0);
    batch_begins(1, INT64_MAX);
    batch_ends();
    assert_int_equal(held.times, 0);
    end();
    begin(400 * MS_US);
    batch_begins(1, postgres_ms(-10));
    batch_ends();
    assert_int_equal(claims.asked, 1);
    assert_int_equal(held.times, 0);
    end();
    /* It is made at once: both leave together. */
    begin(0);
    batch_begins(1, postgres_ms(-10));
    batch_ends();
    assert_int_equal(claims.asked, 2);
    assert_int_equal(held.times, 0);
    /* It is on its way. */
    claims.put_back_ms = postgres_ms(2);
    batch_ends();
    assert_int_equal(held.times, 0);
    end();
    /* Redis is of no use; the end has come. */
    begin(0);
    batch_begins(1, postgres_ms(4));
    redis_usable = false;
    batch_ends();
    assert_int_equal(held.times, 0);
    redis_usable = true;
    claims.idle = false;
    sweeper_stop(sweeper, NULL, NULL);
    batch_ends();
    assert_int_equal(held.times, 0);
    end();
}

/* A settlement is in Redis before the claim: what it puts back counts from when it is sent. */
static void test_what_is_put_back_calls_for_a_claim(void **state)
{
    (void)state;
    begin(0);
    batch_begins(1, INT64_MAX);
    claims.put_back_ms = postgres_ms(-1);
    batch_ends();
    assert_int_equal(claims.asked, 2);
    /* The claim that was under way did not see it: its answer is not the last word. */
    answer(0, INT64_MAX);
    assert_int_equal(claims.asked, 3);
    end();
}

static void stop_loop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void note(void *arg)
{
    *(bool *)arg = true;
    loop_stop(loop);
}

/* In backlog mode nothing is claimed, and a stop waits for its end. */
static void test_backlog_mode(void **state)
{
    bool stopped = false;
    (void)state;
    begin(0);
    backlog.on = true;
    backlog.idle = false;
    const struct claim_result result = {
        .ok = true, .n = 500, .asked = 500, .due_left = 20000, .next_ms = postgres_ms(-10)};
    claims.events.on_claimed(claims.events.arg, &result);
    assert_int_equal(backlog.due_left, 20000);
    assert_int_equal(claims.asked, 1);
    assert_int_equal(held.times, 0);
    backlog.on = false;
    backlog.on_change(backlog.arg);
    assert_int_equal(claims.asked, 2);
    answer(0, INT64_MAX);
    assert_int_equal(backlog.due_left, 0);
    struct timer *limit = timer_new(loop, stop_loop, NULL);
    sweeper_stop(sweeper, note, &stopped);
    timer_after_us(limit, 5 * MS_US);
    assert_int_equal(loop_run(loop), 0);
    assert_false(stopped);
    backlog.idle = true;
    backlog.on_change(backlog.arg);
    timer_after_us(limit, 5 * SECOND_US);
    assert_int_equal(loop_run(loop), 0);
    assert_true(stopped);
    timer_free(limit);
    end();
}

/* What a pause has left is not for backlog mode; once a claim is not full that is over. */
static void test_after_a_pause(void **state)
{
    (void)state;
    begin(0);
    parts.careful = paused = true;
    answer(0, INT64_MAX); /* to a claim from before it */
    assert_true(parts.careful);
    paused = false;
    const struct claim_result full = {
        .ok = true, .n = 500, .asked = 500, .due_left = 20000, .next_ms = postgres_ms(-10)};
    claims.events.on_claimed(claims.events.arg, &full);
    assert_int_equal(backlog.due_left, 0);
    assert_true(parts.careful);
    answer(499, INT64_MAX);
    assert_false(parts.careful);
    claims.events.on_claimed(claims.events.arg, &full);
    assert_int_equal(backlog.due_left, 20000);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backlog_mode),
        cmocka_unit_test(test_after_a_pause),
        cmocka_unit_test(test_what_is_held_for_the_next_claim),
        cmocka_unit_test(test_what_is_not_held),
        cmocka_unit_test(test_what_is_put_back_calls_for_a_claim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
