/* What a page of rows becomes for Redis: times, ids, and which of them a script has to look at. The
 * queue is stood in for. */
#include "feed/mirror.h"

#include "base/parse.h"
#include "base/time_units.h"
#include "queue/due_queue.h"
#include "release/parts.h"
#include "unit.h"

#include <string.h>

static struct {
    int calls;
    const struct due_entry *entries;
    size_t n;
    int64_t script_until_ms;
    due_count_cb *cb;
    void *arg;
} sent;
static bool away;

int due_queue_schedule(struct due_queue *q, const struct due_entry *entries, size_t n,
                       int64_t script_until_ms, due_count_cb *cb, void *arg)
{
    (void)q;
    if (away)
        return -1;
    sent.calls++;
    sent.entries = entries;
    sent.n = n;
    sent.script_until_ms = script_until_ms;
    sent.cb = cb;
    sent.arg = arg;
    return 0;
}

static struct {
    int calls;
    int64_t earliest_ms;
    const char *error;
} done;

static void on_done(void *arg, int64_t earliest_ms, const char *error)
{
    assert_ptr_equal(arg, &done);
    done.calls++;
    done.earliest_ms = earliest_ms;
    done.error = error;
}

static struct mirror *fresh(struct parts *parts)
{
    memset(parts, 0, sizeof(*parts));
    memset(&sent, 0, sizeof(sent));
    memset(&done, 0, sizeof(done));
    away = false;
    struct mirror *m = mirror_new(parts, on_done, &done);
    assert_non_null(m);
    return m;
}

#define NOW_US INT64_C(1763942400000500)

static void know_clock(struct parts *parts)
{
    int64_t mono_us = clock_mono_us();
    server_clock_sample(&parts->pg_clock, NOW_US, mono_us, mono_us);
    assert_true(parts->pg_clock.known);
}

static void test_times_and_ids(void **state)
{
    (void)state;
    struct parts parts;
    struct mirror *m = fresh(&parts);
    char longest[ID_MAX_LEN + 1], longer[ID_MAX_LEN + 2];
    memset(longest, 'a', ID_MAX_LEN);
    memset(longer, 'b', ID_MAX_LEN + 1);
    longest[ID_MAX_LEN] = longer[ID_MAX_LEN + 1] = '\0';
    const struct mirror_row rows[] = {
        {"one", NOW_US}, {longer, NOW_US}, {longest, NOW_US + 500}, {"", NOW_US - 500}};
    assert_false(mirror_busy(m));
    assert_null(mirror_rows(m, rows, ARRAY_LEN(rows)));
    assert_true(mirror_busy(m));
    assert_int_equal(sent.n, 3);
    assert_string_equal(sent.entries[0].id, "one");
    assert_int_equal(sent.entries[0].at_ms, NOW_US / MS_US + 1); /* rounded up */
    assert_string_equal(sent.entries[1].id, longest);
    assert_int_equal(sent.entries[1].id_len, ID_MAX_LEN);
    assert_int_equal(sent.entries[1].at_ms, NOW_US / MS_US + 1);
    assert_int_equal(sent.entries[2].at_ms, NOW_US / MS_US);
    sent.cb(sent.arg, 1, NULL);
    assert_int_equal(done.calls, 1);
    assert_int_equal(done.earliest_ms, NOW_US / MS_US);
    assert_false(mirror_busy(m));

    /* Nothing was new; Redis failed; Redis was away. */
    assert_null(mirror_rows(m, rows, 1));
    sent.cb(sent.arg, 0, NULL);
    assert_int_equal(done.earliest_ms, INT64_MAX);
    assert_null(mirror_rows(m, rows, 1));
    sent.cb(sent.arg, 0, "no");
    assert_string_equal(done.error, "no");
    away = true;
    assert_string_equal(mirror_rows(m, rows, 1), "Redis went away");
    assert_false(mirror_busy(m));
    assert_int_equal(done.calls, 3);
    mirror_free(m);
}

/* What is due, or will be within a second, may be claimed or refused by the time it arrives. */
static void test_what_a_script_has_to_look_at(void **state)
{
    (void)state;
    struct parts parts;
    struct mirror *m = fresh(&parts);
    const struct mirror_row row = {"one", NOW_US};
    assert_null(mirror_rows(m, &row, 1)); /* Postgres's clock is not known */
    assert_true(sent.script_until_ms == INT64_MAX);
    sent.cb(sent.arg, 1, NULL);

    know_clock(&parts);
    assert_null(mirror_rows(m, &row, 1));
    assert_in_range(sent.script_until_ms, NOW_US / MS_US + SECOND_MS,
                    NOW_US / MS_US + SECOND_MS + within_us(SECOND_MS));
    sent.cb(sent.arg, 1, NULL);
    mirror_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_and_ids),
        cmocka_unit_test(test_what_a_script_has_to_look_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
