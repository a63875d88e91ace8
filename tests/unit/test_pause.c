/* Pauses: what the last order was, what stands in Redis, and when a sweeper obeys. Redis is stood
 * in for. */
#include "release/pause.h"

#include "base/clock.h"
#include "link/loop.h"
#include "link/redis_link.h"
#include "queue/pause_key.h"
#include "release/parts.h"
#include "release/pause_give.h"
#include "release/pause_judge.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_MS INT64_C(1763942400000)

/* ---- what is stood in for ---- */

static struct {
    char record[1000], order[32]; /* "": none */
    bool up, slow;                /* slow: the test answers */
    int asked, given;
    int64_t for_ms;
    due_pause_cb *cb;
    void *arg;
} redis;
static bool degraded;

static struct due_text text_of(const char *text)
{
    return (struct due_text){text[0] != '\0' ? text : NULL, strlen(text)};
}

static struct due_pause seen(void)
{
    return (struct due_pause){text_of(redis.record), text_of(redis.order)};
}

static void answer(const char *error)
{
    const struct due_pause pause = seen();
    due_pause_cb *cb = redis.cb;
    redis.cb = NULL;
    cb(redis.arg, error == NULL ? &pause : NULL, error);
}

enum redis_state redis_link_state(const struct redis_link *link)
{
    (void)link;
    return redis.up ? REDIS_LINK_UP : REDIS_LINK_DOWN;
}

bool parts_degraded(const struct parts *p)
{
    (void)p;
    return degraded;
}

int due_queue_paused(struct due_queue *q, due_pause_cb *cb, void *arg)
{
    (void)q;
    if (!redis.up)
        return -1;
    redis.asked++;
    redis.cb = cb;
    redis.arg = arg;
    if (!redis.slow)
        answer(NULL);
    return 0;
}

int due_queue_order(struct due_queue *q, const struct due_order *order, due_given_cb *cb, void *arg)
{
    const struct due_pause now = seen();
    (void)q;
    bool same =
        now.record.len == order->seen->record.len && now.order.len == order->seen->order.len;
    if (same) {
        redis.given++;
        redis.for_ms = order->for_ms;
        snprintf(redis.record, sizeof(redis.record), "%s",
                 order->record != NULL ? order->record : "");
        snprintf(redis.order, sizeof(redis.order), "%lld", (long long)order->number);
    }
    cb(arg, same, NULL);
    return 0;
}

/* ---- a sweeper ---- */

static struct parts parts;
static struct loop *loop;
static struct timer *limit;
static struct pause *pause;
static int changes;

static void on_change(void *arg)
{
    (void)arg;
    changes++;
}

static void stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

static void turns(int64_t us)
{
    timer_after_us(limit, us);
    assert_int_equal(loop_run(loop), 0);
}

static int64_t now_ms(void)
{
    return server_clock_now_us(&parts.pg_clock) / MS_US;
}

static void stand(int64_t until_ms, const char *order)
{
    snprintf(redis.record, sizeof(redis.record),
             "{\"until\":%lld,\"reason\":\"a move\",\"by\":\"x\"}", (long long)until_ms);
    snprintf(redis.order, sizeof(redis.order), "%s", order);
}

/* Redis can be used, and says what it has. */
static void look(void)
{
    pause_redis_changed(pause);
    answer(NULL);
}

static int set_up(void **state)
{
    int64_t us = clock_mono_us();
    (void)state;
    memset(&redis, 0, sizeof(redis));
    redis.up = redis.slow = true;
    degraded = false;
    changes = 0;
    loop = loop_new();
    parts = (struct parts){.loop = loop, .redis = (struct redis_link *)(void *)&redis};
    server_clock_sample(&parts.pg_clock, NOW_MS * MS_US, us, us);
    limit = timer_new(loop, stop, NULL);
    pause = parts.pause = pause_new(&parts, on_change, NULL);
    return pause != NULL && limit != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pause_free(pause);
    if (redis.cb != NULL)
        answer("closed");
    timer_free(limit);
    loop_free(loop);
    return 0;
}

/* ---- the last order ---- */

static void who_gave_the_last_order(void **state)
{
    (void)state;
    static const struct {
        struct pause_sight known, seen;
        enum pause_verdict verdict;
    } rows[] = {
        /* Nothing is known. */
        {{0, false}, {0, false}, PAUSE_TAKE},
        {{0, false}, {0, true}, PAUSE_TAKE},
        {{0, false}, {NOW_MS, true}, PAUSE_TAKE},
        /* It goes on. */
        {{NOW_MS, true}, {NOW_MS, true}, PAUSE_TAKE},
        {{NOW_MS, false}, {NOW_MS, false}, PAUSE_TAKE},
        /* A later order. */
        {{NOW_MS, true}, {NOW_MS + 1, false}, PAUSE_TAKE},
        {{NOW_MS, true}, {NOW_MS + 1, true}, PAUSE_TAKE},
        {{NOW_MS, false}, {NOW_MS + 1, true}, PAUSE_TAKE},
        /* Redis has lost it: all of it, or the pause alone. */
        {{NOW_MS, true}, {0, false}, PAUSE_RESTORE},
        {{NOW_MS, true}, {NOW_MS, false}, PAUSE_RESTORE},
        {{0, true}, {0, false}, PAUSE_RESTORE},
        /* An older Redis has come back. */
        {{NOW_MS, true}, {NOW_MS - 5, false}, PAUSE_RESTORE},
        {{NOW_MS, true}, {NOW_MS - 5, true}, PAUSE_RESTORE},
        {{NOW_MS, false}, {NOW_MS - 5, true}, PAUSE_RESTORE},
        /* ... which is to know of the resume, as long as a pause might last. */
        {{NOW_MS, false}, {0, false}, PAUSE_RESTORE},
        {{NOW_MS - 8 * DAY_US / MS_US, false}, {0, false}, PAUSE_TAKE},
        /* By hand. */
        {{NOW_MS, false}, {0, true}, PAUSE_TAKE},
        {{NOW_MS, true}, {0, true}, PAUSE_TAKE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (pause_judge(&rows[i].known, &rows[i].seen, NOW_MS) != rows[i].verdict)
            fail_msg("row %zu", i);
}

static void numbers_of_orders(void **state)
{
    (void)state;
    assert_int_equal(pause_next_order(0, NOW_MS), NOW_MS);
    assert_int_equal(pause_next_order(NOW_MS, NOW_MS), NOW_MS + 1);
    assert_int_equal(pause_next_order(NOW_MS + 500, NOW_MS), NOW_MS + 501); /* a clock set back */
    assert_int_equal(pause_order_read("1763942400000"), NOW_MS);
    static const char *const none[] = {"", "-1", "soon", "99999999999999999", "1.5"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_int_equal(pause_order_read(none[i]), 0);
    assert_int_equal(pause_order_read(NULL), 0);
}

/* ---- records ---- */

static void a_record(void **state)
{
    struct pause_record record = {NOW_MS + 60000, "the \"shop\" is down", "ops@shop"}, read;
    char said[PAUSE_SAID_SIZE];
    (void)state;
    char *text = pause_record_make(&record);
    assert_true(pause_record_read(&read, text, strlen(text), NOW_MS));
    assert_int_equal(read.until_ms, record.until_ms);
    assert_string_equal(read.reason, record.reason);
    assert_string_equal(read.by, record.by);
    free(text);
    pause_record_say(&read, said, sizeof(said));
    assert_string_equal(said,
                        "paused until 2025-11-24T00:01:00.000Z by ops@shop: the \"shop\" is down");
    read.reason[0] = read.by[0] = '\0';
    pause_record_say(&read, said, sizeof(said));
    assert_string_equal(said, "paused until 2025-11-24T00:01:00.000Z");
}

static void what_is_no_record(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "7",
        "{\"until\":\"2025-11-24\"}",
        "{\"until\":-1}",
        "{\"until\":1e300}",
        "{\"until\":1764633600000}", /* eight days */
        "{\"until\":9223372036854775807}",
    };
    struct pause_record record;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_false(pause_record_read(&record, texts[i], strlen(texts[i]), NOW_MS));
    static const char odd[] = "{\"until\":1763942460000,\"reason\":5,\"by\":null,\"more\":1}";
    assert_true(pause_record_read(&record, odd, strlen(odd), NOW_MS));
    assert_string_equal(record.reason, "");
    assert_string_equal(record.by, "");
    /* Texts that are too long are cut; what is far too long is none. */
    char *text = malloc(20000);
    assert_non_null(text);
    snprintf(text, 20000, "{\"until\":1763942460000,\"reason\":\"%02000d\"}", 7);
    assert_true(pause_record_read(&record, text, strlen(text), NOW_MS));
    assert_int_equal(strlen(record.reason), PAUSE_REASON_MAX);
    snprintf(text, 20000, "{\"until\":1763942460000,\"reason\":\"%09000d\"}", 7);
    assert_false(pause_record_read(&record, text, strlen(text), NOW_MS));
    free(text);
}

/* ---- obeying ---- */

static void nothing_before_the_first_look(void **state)
{
    (void)state;
    assert_false(pause_allows(pause));
    pause_redis_changed(pause);
    assert_int_equal(redis.asked, 1);
    assert_false(pause_allows(pause));
    assert_true(pause_reason(pause)[0] != '\0');
    assert_false(pause_lasts(pause));
    answer(NULL);
    assert_true(pause_allows(pause));
    assert_int_equal(changes, 1);
    assert_string_equal(pause_reason(pause), "");
    /* Redis goes, and comes back: then the same again. */
    redis.up = false;
    degraded = true;
    pause_redis_changed(pause);
    assert_true(pause_allows(pause));
    redis.up = true;
    degraded = false;
    assert_false(pause_allows(pause));
    pause_redis_changed(pause);
    answer(NULL);
    assert_true(pause_allows(pause));
    assert_true(pause_allows(NULL) && !pause_lasts(NULL) && pause_now(NULL) == NULL);
}

static void until_its_end(void **state)
{
    (void)state;
    stand(NOW_MS + 200, "5");
    look();
    assert_true(pause_lasts(pause) && !pause_allows(pause) && parts.careful);
    assert_string_equal(pause_now(pause)->reason, "a move");
    assert_non_null(strstr(pause_reason(pause), "by x: a move"));
    assert_int_equal(pause_ended_us(pause), 0);
    while (pause_lasts(pause)) {
        assert_true(now_ms() <= NOW_MS + 250 || getenv("RS_TIME_FACTOR") != NULL);
        turns(MS_US);
    }
    assert_true(now_ms() >= NOW_MS + 200);
    assert_true(pause_allows(pause) && pause_now(pause) == NULL && parts.careful);
    assert_true(pause_ended_us(pause) >= (NOW_MS + 200) * MS_US);
    assert_int_equal(changes, 2);
}

static void without_redis_too(void **state)
{
    (void)state;
    stand(NOW_MS + 60000, "5");
    look();
    redis.up = false;
    degraded = true;
    pause_redis_changed(pause);
    assert_true(pause_lasts(pause) && !pause_allows(pause));
    /* It has lost it: it is written back, with what is left of its time. */
    char before[sizeof(redis.record)];
    snprintf(before, sizeof(before), "%s", redis.record);
    redis.record[0] = redis.order[0] = '\0';
    redis.up = true;
    degraded = false;
    look();
    assert_int_equal(redis.given, 1);
    assert_string_equal(redis.order, "5");
    assert_string_equal(redis.record, before);
    assert_in_range(redis.for_ms, 50000, 60000);
    assert_true(pause_lasts(pause));
    /* Resumed meanwhile by others. */
    redis.record[0] = '\0';
    snprintf(redis.order, sizeof(redis.order), "6");
    look();
    assert_true(pause_allows(pause));
    assert_int_equal(redis.given, 1);
}

static void a_restore_never_undoes_an_order(void **state)
{
    (void)state;
    stand(NOW_MS + 60000, "5");
    look();
    pause_redis_changed(pause);
    redis.record[0] = '\0';
    const struct due_pause lost = seen(); /* as the answer on its way says */
    due_pause_cb *cb = redis.cb;
    redis.cb = NULL;
    snprintf(redis.order, sizeof(redis.order), "1763942400001");
    cb(redis.arg, &(struct due_pause){lost.record, {"5", 1}}, NULL);
    assert_int_equal(redis.given, 0);
    assert_string_equal(redis.record, "");
}

static void one_that_takes_the_place_of_another(void **state)
{
    (void)state;
    stand(NOW_MS + 60000, "5");
    look();
    struct parts others = parts;
    others.careful = false;
    struct pause *next = pause_new(&others, NULL, NULL);
    pause_take_over(next, pause);
    assert_true(pause_lasts(next) && others.careful);
    assert_string_equal(pause_now(next)->reason, "a move");
    assert_string_equal(pause_reason(next), pause_reason(pause));
    pause_free(next);
}

/* ---- giving orders ---- */

static struct pause_given given;

static void on_given(void *arg, const struct pause_given *g)
{
    (void)arg;
    given = *g;
}

static void orders(void **state)
{
    (void)state;
    look();
    redis.slow = false;
    const struct pause_wish wish = {.for_us = 90 * SECOND_US, .reason = "why", .by = "who"};
    pause_give(&parts, &wish, on_given, NULL);
    assert_true(given.error == NULL && !given.lasted);
    assert_in_range(given.until_us, (NOW_MS + 90000) * MS_US, (NOW_MS + 95000) * MS_US);
    assert_int_equal(redis.for_ms, 90000);
    assert_true(pause_lasts(pause)); /* at once */
    assert_string_equal(pause_now(pause)->by, "who");
    const struct pause_wish resume = {.reason = "", .by = "who"};
    pause_give(&parts, &resume, on_given, NULL);
    assert_true(given.error == NULL && given.lasted && given.until_us == 0);
    assert_true(pause_allows(pause));
    assert_string_equal(redis.record, "");
    pause_give(&parts, &resume, on_given, NULL);
    assert_false(given.lasted);
    redis.up = false;
    pause_give(&parts, &wish, on_given, NULL);
    assert_string_equal(given.error, "Redis is out of reach");
    assert_true(pause_allows(pause));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_gave_the_last_order),
        cmocka_unit_test(numbers_of_orders),
        cmocka_unit_test(a_record),
        cmocka_unit_test(what_is_no_record),
        cmocka_unit_test_setup_teardown(nothing_before_the_first_look, set_up, tear_down),
        cmocka_unit_test_setup_teardown(until_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_redis_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_restore_never_undoes_an_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_takes_the_place_of_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(orders, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
