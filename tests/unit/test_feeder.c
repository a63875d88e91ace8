/* The feeder's role, and what is told of what is late and lost. Redis and the mirror are stood in
 * for. */
#include "feed/feeder.h"

#include "base/parse.h"
#include "base/time_units.h"
#include "feed/late.h"
#include "feed/lost.h"
#include "feed/mirror.h"
#include "queue/due_queue.h"
#include "release/parts.h"
#include "unit.h"

#include <string.h>

static struct {
    bool away;
    int64_t ttl_ms;
    char name[256];
    due_role_cb *on_role;
    due_error_cb *on_resigned;
    void *arg;
} redis;
static struct {
    size_t n;
    struct mirror_row rows[4];
    const char *error;
    void (*on_done)(void *arg, int64_t earliest_ms, const char *error);
    void *arg;
} mirror;
static int told, resigned;
static bool is_ours;
static const char *told_error;
static int64_t mirrored_ms;

int due_queue_role(struct due_queue *q, const char *role, const char *name, int64_t ttl_ms,
                   due_role_cb *cb, void *arg)
{
    (void)q;
    assert_string_equal(role, "feeder");
    if (redis.away)
        return -1;
    strncpy(redis.name, name, sizeof(redis.name) - 1);
    redis.ttl_ms = ttl_ms;
    redis.on_role = cb;
    redis.arg = arg;
    return 0;
}

int due_queue_role_release(struct due_queue *q, const char *role, const char *name,
                           due_error_cb *cb, void *arg)
{
    (void)q;
    assert_string_equal(role, "feeder");
    if (redis.away)
        return -1;
    assert_string_equal(name, redis.name);
    redis.on_resigned = cb;
    redis.arg = arg;
    return 0;
}

struct mirror *mirror_new(struct parts *parts,
                          void (*on_done)(void *arg, int64_t earliest_ms, const char *error),
                          void *arg)
{
    (void)parts;
    mirror.on_done = on_done;
    mirror.arg = arg;
    return (struct mirror *)&mirror;
}

void mirror_free(struct mirror *m)
{
    (void)m;
}

const char *mirror_rows(struct mirror *m, const struct mirror_row *rows, size_t n)
{
    (void)m;
    assert_true(n > 0 && n <= ARRAY_LEN(mirror.rows));
    mirror.n = n;
    memcpy(mirror.rows, rows, n * sizeof(*rows));
    return mirror.error;
}

bool mirror_busy(const struct mirror *m)
{
    (void)m;
    return false;
}

static void on_role(void *arg, bool ours, const char *error)
{
    (void)arg;
    told++;
    is_ours = ours;
    told_error = error;
}

static void on_resigned(void *arg)
{
    (void)arg;
    resigned++;
}

static void on_mirrored(void *arg, int64_t earliest_ms)
{
    (void)arg;
    mirrored_ms = earliest_ms;
}

static int set_up(void **state)
{
    (void)state;
    memset(&redis, 0, sizeof(redis));
    memset(&mirror, 0, sizeof(mirror));
    told = resigned = 0;
    mirrored_ms = 0;
    return 0;
}

static void test_the_role(void **state)
{
    const struct feeder_options options = {
        .interval_us = 8 * SECOND_US, .on_role = on_role, .on_resigned = on_resigned};
    struct parts parts = {.queue = NULL};
    struct feeder *feeder = feeder_new(&parts, &options);
    (void)state;
    assert_non_null(feeder);
    feeder_ask(feeder);
    assert_int_equal(redis.ttl_ms, 11 * SECOND_MS); /* past the next time that it asks */
    assert_int_equal(told, 0);
    redis.on_role(redis.arg, true, 0, "", NULL);
    assert_true(told == 1 && is_ours && told_error == NULL);
    redis.on_role(redis.arg, false, 5, "another", NULL);
    assert_true(told == 2 && !is_ours && told_error == NULL);
    redis.on_role(redis.arg, true, 0, "", "no answer"); /* whatever it says besides */
    assert_true(told == 3 && !is_ours);
    assert_string_equal(told_error, "no answer");
    feeder_resign(feeder);
    assert_int_equal(resigned, 0);
    redis.on_resigned(redis.arg, "no answer");
    assert_int_equal(resigned, 1);
    redis.away = true;
    feeder_ask(feeder);
    assert_true(told == 4 && !is_ours && told_error != NULL);
    feeder_resign(feeder);
    assert_int_equal(resigned, 2);
    feeder_free(feeder);
}

static char a[] = "a", b[] = "b", longest[ID_MAX_LEN + 1], too_long_id[ID_MAX_LEN + 2];

static void test_what_is_lost(void **state)
{
    memset(longest, 'x', sizeof(longest) - 1);
    memset(too_long_id, 'y', sizeof(too_long_id) - 1);
    const struct late_row rows[] = {{.id = a, .expires_us = 1},
                                    {.id = too_long_id, .expires_us = 2},
                                    {.id = longest, .expires_us = 3},
                                    {.id = b, .expires_us = 4}};
    const struct late_row *all[] = {&rows[0], &rows[1], &rows[2], &rows[3]};
    struct lost *lost = lost_new(NULL, on_mirrored, NULL);
    bool too_long = false;
    (void)state;
    assert_non_null(lost);
    assert_true(lost_tell(lost, all, ARRAY_LEN(all), &too_long));
    assert_true(too_long);
    assert_int_equal(mirror.n, 3);
    assert_ptr_equal(mirror.rows[1].id, longest);
    assert_int_equal(mirror.rows[1].expires_us, 3);
    assert_ptr_equal(mirror.rows[2].id, b);
    mirror.on_done(mirror.arg, 7, NULL);
    assert_int_equal(mirrored_ms, 7);
    mirror.on_done(mirror.arg, INT64_MAX, NULL); /* nothing became earlier */
    assert_int_equal(mirrored_ms, 7);
    mirror.on_done(mirror.arg, 8, "no answer");
    assert_int_equal(mirrored_ms, 7);
    assert_true(lost_tell(lost, &all[3], 1, &too_long));
    assert_false(too_long);
    mirror.n = 0;
    assert_true(lost_tell(lost, &all[1], 1, &too_long)); /* there is nothing to tell */
    assert_true(too_long && mirror.n == 0);
    mirror.error = "it went away";
    assert_false(lost_tell(lost, all, 1, &too_long));
    lost_free(lost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_role, set_up),
        cmocka_unit_test_setup(test_what_is_lost, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
