/* What late reservations say of the queue. */
#include "feed/overdue_judge.h"

#include "unit.h"

#include <stdio.h>

#define NOW_US (INT64_C(5000) * SECOND_US)
#define MANY (OVERDUE_MOST_HIDDEN + 1)

static struct late_row now_rows[MANY], before_rows[MANY];
static struct late_row *now_index[MANY], *before_index[MANY], *lost[MANY];
static struct late now = {.rows = now_rows, .by_id = now_index};
static struct late before = {.rows = before_rows, .by_id = before_index};
static char ids[MANY][8];

/* One letter a reservation, oldest first: its id; its kind follows. "a! b? c# d-" is a at work, b
 * lost, c locked, d refused. */
static void set(struct late *l, const char *text)
{
    static const char *const all[] = {"a", "b", "c", "d", "e", "f"};
    l->n = 0;
    for (; *text != '\0'; text += text[2] == ' ' ? 3 : 2)
        l->rows[l->n++] = (struct late_row){
            .id = (char *)all[text[0] - 'a'],
            .product = "",
            .expires_us = text[0],
            .kind = text[1] == '!'   ? LATE_AT_WORK
                    : text[1] == '?' ? LATE_LOST
                    : text[1] == '#' ? LATE_LOCKED
                                     : LATE_REFUSED,
        };
    late_index(l);
}

static const char *oldest(const char *now_text, const char *before_text, bool confirm)
{
    set(&now, now_text);
    set(&before, before_text);
    const struct overdue_verdict v = overdue_judge(&now, &before, confirm, OVERDUE_MOST, 0);
    return v.oldest != NULL ? v.oldest->id : "";
}

static void the_oldest(void **state)
{
    (void)state;
    assert_string_equal(oldest("", "", true), "");
    /* Seen once it may have been in somebody's hands just then. */
    assert_string_equal(oldest("a!", "", true), "");
    assert_string_equal(oldest("a!", "", false), "a");
    assert_string_equal(oldest("a!", "a!", true), "a");
    assert_string_equal(oldest("a?", "a!", true), "a");
    /* What is refused or locked does not count, now or then. */
    assert_string_equal(oldest("a- b# c!", "a! b! c!", true), "c");
    assert_string_equal(oldest("a- b# c!", "", false), "c");
    assert_string_equal(oldest("a# b-", "a! b!", true), "");
    assert_string_equal(oldest("a# b-", "", false), "");
    assert_string_equal(oldest("a! b!", "a# b!", true), "b");
    assert_string_equal(oldest("a!", "a#", true), "");
    assert_string_equal(oldest("a!", "a-", true), "");
    /* A backlog: each poll finds others. */
    assert_string_equal(oldest("c! d!", "a! b!", true), "c");
    assert_string_equal(oldest("c! d!", "a! b!", false), "c");
    assert_string_equal(oldest("c! d!", "a# d?", true), "d");
    assert_string_equal(oldest("c! d!", "a- b#", true), "");
    assert_string_equal(oldest("", "a!", true), "");
}

static void how_many_are_locked(void **state)
{
    (void)state;
    set(&now, "a# b! c# d- e?");
    set(&before, "");
    assert_int_equal(overdue_judge(&now, &before, true, OVERDUE_MOST, 0).locked, 2);
}

static int64_t pause_of(const char *text, int64_t cost_us)
{
    set(&now, text);
    set(&before, "");
    return overdue_judge(&now, &before, true, OVERDUE_MOST, cost_us).pause_us;
}

static void when_to_poll_again(void **state)
{
    (void)state;
    /* Nothing is late: 15 s from the beginning of this one, 5 s from its end at least. */
    assert_int_equal(pause_of("", 0), OVERDUE_IDLE_US);
    assert_int_equal(pause_of("a# b-", 3 * SECOND_US), 12 * SECOND_US);
    assert_int_equal(pause_of("", 10 * SECOND_US), OVERDUE_IDLE_MIN_US);
    assert_int_equal(pause_of("", 10 * SECOND_US - 1), OVERDUE_IDLE_MIN_US + 1);
    assert_int_equal(pause_of("", 60 * SECOND_US), OVERDUE_IDLE_MIN_US);
    /* Something is: within a second, unless that costs more than a tenth of the time. */
    assert_int_equal(pause_of("a!", 0), OVERDUE_AGAIN_MIN_US);
    assert_int_equal(pause_of("a- b?", 100 * MS_US), OVERDUE_AGAIN_MIN_US);
    assert_int_equal(pause_of("a!", 101 * MS_US), 1010 * MS_US);
    assert_int_equal(pause_of("a!", 799 * MS_US), 7990 * MS_US);
    assert_int_equal(pause_of("a!", 801 * MS_US), OVERDUE_AGAIN_MAX_US);
}

/* n rows, of which the last is of that kind, and the others are refused. */
static struct overdue_verdict judge_many(size_t n, enum late_kind last, int most)
{
    now.n = n;
    before.n = 0;
    for (size_t i = 0; i < n; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%zu", i);
        now_rows[i] = (struct late_row){.id = ids[i], .kind = LATE_REFUSED};
    }
    now_rows[n - 1].kind = last;
    late_index(&now);
    return overdue_judge(&now, &before, true, most, 0);
}

/* All that a poll asks for are refused or locked: what is behind them is asked for, and soon. */
static void hidden(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        enum late_kind last;
        int most, next_most;
        int64_t pause_us;
    } rows[] = {
        {499, LATE_REFUSED, OVERDUE_MOST, OVERDUE_MOST, OVERDUE_IDLE_US},
        {500, LATE_REFUSED, OVERDUE_MOST, OVERDUE_MOST_HIDDEN, OVERDUE_AGAIN_MIN_US},
        {500, LATE_LOCKED, OVERDUE_MOST, OVERDUE_MOST_HIDDEN, OVERDUE_AGAIN_MIN_US},
        {500, LATE_AT_WORK, OVERDUE_MOST, OVERDUE_MOST, OVERDUE_AGAIN_MIN_US},
        {500, LATE_LOST, OVERDUE_MOST, OVERDUE_MOST, OVERDUE_AGAIN_MIN_US},
        /* All are asked for already; until there are few again. */
        {499, LATE_REFUSED, OVERDUE_MOST_HIDDEN, OVERDUE_MOST, OVERDUE_IDLE_US},
        {500, LATE_REFUSED, OVERDUE_MOST_HIDDEN, OVERDUE_MOST_HIDDEN, OVERDUE_IDLE_US},
        {500, LATE_LOST, OVERDUE_MOST_HIDDEN, OVERDUE_MOST_HIDDEN, OVERDUE_AGAIN_MIN_US},
        {12000, LATE_REFUSED, OVERDUE_MOST_HIDDEN, OVERDUE_MOST_HIDDEN, OVERDUE_IDLE_US},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct overdue_verdict v = judge_many(rows[i].n, rows[i].last, rows[i].most);
        assert_int_equal(v.most, rows[i].next_most);
        assert_int_equal(v.pause_us, rows[i].pause_us);
    }
}

static size_t told(bool backlog)
{
    return overdue_lost(&now, &before, backlog, NOW_US, lost);
}

static void whom_redis_is_told_of(void **state)
{
    (void)state;
    set(&now, "a! b? c# d- e?");
    set(&before, "");
    assert_int_equal(told(false), 2);
    assert_string_equal(lost[0]->id, "b");
    assert_string_equal(lost[1]->id, "e");
    /* In a backlog what has just been released may look lost: seen twice, it is. */
    assert_int_equal(told(true), 0);
    set(&before, "e!");
    assert_int_equal(told(true), 1);
    assert_string_equal(lost[0]->id, "e");
    assert_int_equal(told(false), 2);
}

/* The same one is not told again for 30 s. */
static void told_again(void **state)
{
    (void)state;
    set(&now, "a?");
    set(&before, "a?");
    before_rows[0].sent_us = NOW_US - OVERDUE_TELL_AGAIN_US;
    assert_int_equal(told(false), 0);
    assert_int_equal(now_rows[0].sent_us, NOW_US - OVERDUE_TELL_AGAIN_US); /* remembered */
    before_rows[0].sent_us--;
    assert_int_equal(told(false), 1);
    before_rows[0].sent_us = 0;
    assert_int_equal(told(false), 1);
    set(&before, "b?"); /* another's */
    before_rows[0].sent_us = NOW_US;
    now_rows[0].sent_us = NOW_US;
    assert_int_equal(told(false), 1);
    assert_int_equal(now_rows[0].sent_us, 0);
}

static void whether_it_is_known(void **state)
{
    (void)state;
    struct overdue_told t = {.began_us = NOW_US};
    struct overdue_view view = {.known = true};
    overdue_age(&t, NOW_US + 7, &view); /* never told */
    assert_false(view.known);
    assert_int_equal(view.silent_us, 7);
    t.told_us = NOW_US + SECOND_US;
    t.since_us = 42;
    overdue_age(&t, t.told_us + OVERDUE_KNOWN_US, &view);
    assert_true(view.known);
    assert_int_equal(view.silent_us, OVERDUE_KNOWN_US);
    assert_int_equal(view.since_us, 42);
    overdue_age(&t, t.told_us + OVERDUE_KNOWN_US + 1, &view);
    assert_false(view.known);
    assert_int_equal(view.silent_us, OVERDUE_KNOWN_US + 1);
    assert_int_equal(view.since_us, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest),
        cmocka_unit_test(how_many_are_locked),
        cmocka_unit_test(when_to_poll_again),
        cmocka_unit_test(hidden),
        cmocka_unit_test(whom_redis_is_told_of),
        cmocka_unit_test(told_again),
        cmocka_unit_test(whether_it_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
