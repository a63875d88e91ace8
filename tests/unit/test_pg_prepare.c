/* Which statements have names: each rule of pg_prepare.c, at its limits. */
#include "base/time_units.h"
#include "link/pg_prepare.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define T0 (5 * HOUR_US)

static struct pg_names session(enum pg_prepare mode, int64_t server_pid)
{
    struct pg_names names = {.mode = mode, .version = 1};
    pg_names_connected(&names);
    assert_true(pg_names_asks(&names));
    pg_names_told(&names, 100, server_pid, "on");
    return names;
}

/* As a request does that the server answers. */
static int prepare(struct pg_names *names, const char *sql, int64_t now_us)
{
    int place = pg_names_place(names, sql, now_us);
    assert_true(place >= 0);
    names->list[place].queued = names->list[place].ready = true;
    return place;
}

static void whose_session(void **state)
{
    struct pg_names names = {.mode = PG_PREPARE_AUTO};
    (void)state;
    pg_names_connected(&names);
    assert_true(pg_names_asks(&names));
    assert_false(pg_names_usable(&names, 1, T0)); /* not before it is known */
    pg_names_told(&names, 100, 100, "on");
    assert_false(pg_names_asks(&names));
    assert_true(pg_names_usable(&names, 1, T0));
    (void)prepare(&names, "SELECT 1", T0);
    pg_names_connected(&names); /* each session is asked, and has nothing */
    pg_names_told(&names, 100, 100, "on");
    assert_false(pg_names_empties(&names));
    assert_int_equal(names.n, 0);
    pg_names_connected(&names);
    assert_true(pg_names_asks(&names));
    assert_false(pg_names_usable(&names, 1, T0));
    pg_names_told(&names, 100, 101, "on");
    assert_false(pg_names_usable(&names, 1, T0));
    assert_false(pg_names_asks(&names));
}

static void on_and_off(void **state)
{
    struct pg_names on = session(PG_PREPARE_ON, 101);
    struct pg_names off = {.mode = PG_PREPARE_OFF};
    (void)state;
    assert_true(pg_names_usable(&on, 1, T0));
    pg_names_connected(&on);
    assert_true(pg_names_usable(&on, 1, T0)); /* from the first request on */
    pg_names_connected(&off);
    assert_true(pg_names_asks(&off)); /* others want to know */
    pg_names_told(&off, 100, 100, "on");
    assert_false(pg_names_usable(&off, 1, T0));
}

static void places_and_names(void **state)
{
    struct pg_names names = session(PG_PREPARE_AUTO, 100);
    char one[PG_NAME_SIZE], two[PG_NAME_SIZE], other[PG_NAME_SIZE];
    (void)state;
    assert_int_equal(pg_names_place(&names, "SELECT 1", T0), 0);
    assert_int_equal(pg_names_place(&names, "SELECT 2", T0), 1);
    assert_int_equal(pg_names_place(&names, "SELECT 1", T0), 0);
    pg_names_write(&names, 0, one);
    pg_names_write(&names, 1, two);
    assert_string_not_equal(one, two);
    struct pg_names same = session(PG_PREPARE_AUTO, 100); /* another client's */
    assert_int_equal(pg_names_place(&same, "SELECT 2", T0), 0);
    pg_names_write(&same, 0, other);
    assert_string_equal(other, two);
}

/* The text at an address is read once for each version: hashing thousands of bytes with each
 * request would be some percent of what a release of one costs this process. */
static void where_a_text_stands(void **state)
{
    struct pg_names names = session(PG_PREPARE_AUTO, 100);
    char text[] = "SELECT 1", copy[] = "SELECT 1";
    char before[PG_NAME_SIZE], after[PG_NAME_SIZE];
    (void)state;
    assert_int_equal(pg_names_place(&names, text, T0), 0);
    assert_int_equal(pg_names_place(&names, copy, T0), 0); /* the text counts */
    pg_names_write(&names, 0, before);
    text[7] = '2';
    assert_int_equal(pg_names_place(&names, text, T0), 0); /* not read */
    assert_true(pg_names_usable(&names, 2, T0));
    assert_int_equal(pg_names_place(&names, text, T0), 0); /* read anew */
    pg_names_write(&names, 0, after);
    assert_int_not_equal(strncmp(before, after, sizeof("sweeper_0123456789abcdef") - 1), 0);
}

static void what_was_not_answered(void **state)
{
    struct pg_names names = session(PG_PREPARE_AUTO, 100);
    (void)state;
    (void)pg_names_place(&names, "SELECT 1", T0);
    (void)pg_names_place(&names, "SELECT 2", T0);
    names.list[0].queued = names.list[1].queued = true;
    names.list[0].ready = true;
    pg_names_settle(&names);
    assert_true(names.list[0].queued);
    assert_false(names.list[1].queued); /* prepared by the next request */
}

static void bounded(void **state)
{
    struct pg_names ours = session(PG_PREPARE_AUTO, 100);
    struct pg_names pooled = session(PG_PREPARE_ON, 101);
    char sql[PG_NAMES_MAX][32];
    (void)state;
    for (int i = 0; i < PG_NAMES_MAX; i++) {
        assert_true(pg_names_usable(&ours, 1, T0));
        (void)snprintf(sql[i], sizeof(sql[i]), "SELECT %d", i);
        assert_int_equal(pg_names_place(&ours, sql[i], T0), i);
        assert_int_equal(pg_names_place(&pooled, sql[i], T0), i);
    }
    assert_int_equal(pg_names_place(&ours, "SELECT x", T0), -1);
    assert_true(pg_names_usable(&ours, 1, T0)); /* a new list */
    assert_true(pg_names_empties(&ours));
    assert_int_equal(pg_names_place(&ours, "SELECT x", T0), 0);
    assert_true(pg_names_usable(&pooled, 1, T0)); /* the pooler's statements are not ours to drop */
    assert_false(pg_names_empties(&pooled));
    assert_int_equal(pg_names_place(&pooled, "SELECT x", T0), -1);
    assert_int_equal(pg_names_place(&pooled, "SELECT 3", T0), 3);
}

static void anew_after_ten_minutes(void **state)
{
    struct pg_names ours = session(PG_PREPARE_AUTO, 100);
    struct pg_names pooled = session(PG_PREPARE_ON, 101);
    (void)state;
    assert_true(pg_names_usable(&ours, 1, T0));
    assert_false(pg_names_empties(&ours)); /* a new session has none */
    (void)prepare(&ours, "SELECT 1", T0);
    (void)prepare(&ours, "SELECT 2", T0 + 9 * MINUTE_US);
    (void)prepare(&pooled, "SELECT 1", T0);
    assert_true(pg_names_usable(&ours, 1, T0 + 10 * MINUTE_US - 1));
    assert_int_equal(ours.n, 2);
    assert_true(pg_names_usable(&ours, 1, T0 + 10 * MINUTE_US));
    assert_int_equal(ours.n, 0);
    assert_true(pg_names_empties(&ours));
    pg_names_emptied(&ours);
    assert_false(pg_names_empties(&ours));
    (void)prepare(&ours, "SELECT 1", T0 + 10 * MINUTE_US);
    assert_true(pg_names_usable(&ours, 1, T0 + 20 * MINUTE_US - 1));
    assert_int_equal(ours.n, 1);
    assert_true(pg_names_usable(&pooled, 1, T0 + 10 * MINUTE_US));
    assert_int_equal(pooled.n, 1);
}

static void took(struct pg_names *names, int times, int64_t took_us, int64_t now_us)
{
    for (int i = 0; i < times && names->n > 0; i++)
        pg_names_took(names, 0, took_us, now_us);
}

static void slow(void **state)
{
    struct pg_names names = session(PG_PREPARE_AUTO, 100);
    (void)state;
    (void)prepare(&names, "SELECT 1", T0);
    took(&names, 1000, 2 * MS_US, T0);
    took(&names, 1, 40 * MS_US, T0); /* one may have waited for a lock */
    assert_int_equal(names.n, 1);
    took(&names, 3, 2 * MS_US, T0);
    took(&names, 20, 40 * MS_US, T0);
    assert_int_equal(names.n, 0);
    assert_true(pg_names_empties(&names));
    pg_names_emptied(&names);
    (void)prepare(&names, "SELECT 1", T0);
    took(&names, 100, 2 * MS_US, T0);
    took(&names, 20, 40 * MS_US, T0 + MINUTE_US - 1); /* no oftener than once a minute */
    assert_int_equal(names.n, 1);
    took(&names, 1, 40 * MS_US, T0 + MINUTE_US);
    assert_int_equal(names.n, 0);
}

static void not_slow(void **state)
{
    struct pg_names names = session(PG_PREPARE_AUTO, 100);
    struct pg_names pooled = session(PG_PREPARE_ON, 101);
    (void)state;
    (void)prepare(&names, "SELECT 1", T0);
    took(&names, 100, MS_US / 2, T0);
    took(&names, 20, 5 * MS_US - 8, T0); /* ten times as long, and quick all the same */
    assert_int_equal(names.n, 1);
    took(&names, 2000, 40 * MS_US, T0 + SECOND_US);
    (void)prepare(&pooled, "SELECT 1", T0);
    took(&pooled, 100, MS_US, T0);
    took(&pooled, 20, 400 * MS_US, T0);
    assert_int_equal(pooled.n, 1);
}

static void four_times_is_not_slow(void **state)
{
    struct pg_names names = session(PG_PREPARE_AUTO, 100);
    (void)state;
    (void)prepare(&names, "SELECT 1", T0);
    took(&names, 1000, 10 * MS_US, T0);
    took(&names, 60, 40 * MS_US, T0);
    assert_int_equal(names.n, 1);
}

static void refusals_that_pause(void **state)
{
    static const char *const codes[] = {"26000", "42P05", "0A000", "08P01"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct pg_names names = session(PG_PREPARE_AUTO, 100);
        (void)prepare(&names, "SELECT 1", T0);
        assert_false(pg_names_refused(&names, codes[i], true, T0)); /* a trigger's own affair */
        assert_int_equal(names.n, 1);
        assert_true(pg_names_refused(&names, codes[i], false, T0));
        assert_int_equal(names.n, 0);
        assert_false(pg_names_usable(&names, 1, T0 + MINUTE_US - 1));
        assert_true(pg_names_usable(&names, 1, T0 + MINUTE_US));
        assert_true(pg_names_empties(&names));
    }
}

static void pauses_double(void **state)
{
    struct pg_names names = session(PG_PREPARE_ON, 101);
    int64_t now_us = T0;
    (void)state;
    for (int minutes = 1; minutes <= 64; minutes *= 2) {
        int64_t pause_us = minutes < 60 ? minutes * MINUTE_US : HOUR_US;
        assert_true(pg_names_usable(&names, 1, now_us));
        assert_true(pg_names_refused(&names, "26000", false, now_us));
        pg_names_connected(&names); /* a new session does not shorten it */
        pg_names_told(&names, 100, 101, "on");
        assert_false(pg_names_usable(&names, 1, now_us + pause_us - 1));
        now_us += pause_us;
    }
    assert_true(pg_names_usable(&names, 1, now_us));
    now_us += 10 * MINUTE_US; /* so long it went well */
    assert_true(pg_names_refused(&names, "26000", false, now_us));
    assert_true(pg_names_usable(&names, 1, now_us + MINUTE_US));
}

static void refusals_that_do_not_pause(void **state)
{
    static const char *const codes[] = {"42883", "42703", "42P01", "3F000", "XX000"};
    static const char *const others[] = {"42501", "22P02", "22012", "23514", "25001", "57014",
                                         "40P01", "55P03", "08006", "0A",    ""};
    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct pg_names names = session(PG_PREPARE_AUTO, 100);
        (void)prepare(&names, "SELECT 1", T0);
        assert_true(pg_names_refused(&names, codes[i], false, T0));
        assert_int_equal(names.n, 0);
        assert_true(pg_names_usable(&names, 1, T0));
        assert_true(pg_names_empties(&names));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct pg_names names = session(PG_PREPARE_AUTO, 100);
        (void)prepare(&names, "SELECT 1", T0);
        assert_false(pg_names_refused(&names, others[i], false, T0));
        assert_int_equal(names.n, 1);
    }
}

static void another_table_of_the_name(void **state)
{
    struct pg_names names = session(PG_PREPARE_AUTO, 100);
    (void)state;
    assert_true(pg_names_usable(&names, 1, T0));
    (void)prepare(&names, "SELECT 1", T0);
    assert_true(pg_names_usable(&names, 1, T0));
    assert_int_equal(names.n, 1);
    assert_true(pg_names_usable(&names, 2, T0));
    assert_int_equal(names.n, 0);
    assert_true(pg_names_empties(&names));
    (void)prepare(&names, "SELECT 1", T0);
    assert_true(pg_names_usable(&names, 2, T0));
    assert_int_equal(names.n, 1);
}

/* What a pooler keeps for its client under a forgotten name must not be met again. */
static void forgotten_names_are_not_used_again(void **state)
{
    struct pg_names names = session(PG_PREPARE_ON, 101);
    char before[PG_NAME_SIZE], after[PG_NAME_SIZE];
    (void)state;
    pg_names_write(&names, prepare(&names, "SELECT 1", T0), before);
    assert_true(pg_names_refused(&names, "42883", false, T0));
    assert_false(pg_names_empties(&names));
    pg_names_write(&names, prepare(&names, "SELECT 1", T0), after);
    assert_string_not_equal(before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whose_session),
        cmocka_unit_test(on_and_off),
        cmocka_unit_test(places_and_names),
        cmocka_unit_test(where_a_text_stands),
        cmocka_unit_test(what_was_not_answered),
        cmocka_unit_test(bounded),
        cmocka_unit_test(anew_after_ten_minutes),
        cmocka_unit_test(slow),
        cmocka_unit_test(not_slow),
        cmocka_unit_test(four_times_is_not_slow),
        cmocka_unit_test(refusals_that_pause),
        cmocka_unit_test(pauses_double),
        cmocka_unit_test(refusals_that_do_not_pause),
        cmocka_unit_test(another_table_of_the_name),
        cmocka_unit_test(forgotten_names_are_not_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
