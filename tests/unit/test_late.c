/* What Redis says of a reservation that is late. */
#include "feed/late.h"
#include "queue/repair.h"

#include "unit.h"

#include <string.h>

#define NOW_MS INT64_C(1763082000000)

static struct due_text text(const char *t)
{
    return (struct due_text){t, t != NULL ? strlen(t) : 0};
}

static enum late_kind judge(const char *pending, const char *inflight, const char *record,
                            bool fault)
{
    const struct due_state state = {text(pending), text(inflight), text(record), text(NULL)};
    return late_judge(&state, NOW_MS, fault, false);
}

static void kinds(void **state)
{
    (void)state;
    /* due, at its time or long ago */
    assert_int_equal(judge("1763082000000", NULL, NULL, false), LATE_AT_WORK);
    assert_int_equal(judge("1", NULL, NULL, false), LATE_AT_WORK);
    assert_int_equal(judge("-inf", NULL, NULL, false), LATE_AT_WORK);
    /* claimed, whatever else there is */
    assert_int_equal(judge(NULL, "1763082005000", NULL, false), LATE_AT_WORK);
    assert_int_equal(judge("1763999999999", "1763082005000", NULL, false), LATE_AT_WORK);
    /* put back for a moment */
    assert_int_equal(judge("1763082000001", NULL, NULL, false), LATE_LOCKED);
    assert_int_equal(judge("1763082006000", NULL, NULL, false), LATE_LOCKED);
    assert_int_equal(judge("1763082001000", NULL, NULL, true), LATE_AT_WORK);
    /* no entry, one at the time that its row had before, or one that is no time */
    assert_int_equal(judge(NULL, NULL, NULL, false), LATE_LOST);
    assert_int_equal(judge("1763082006001", NULL, NULL, false), LATE_LOST);
    assert_int_equal(judge("1763082600000", NULL, NULL, true), LATE_LOST);
    assert_int_equal(judge("inf", NULL, NULL, false), LATE_LOST);
    assert_int_equal(judge("nan", NULL, NULL, false), LATE_LOST);
    assert_int_equal(judge("", NULL, NULL, false), LATE_LOST);
    /* refused: its own time is far ahead, or has come */
    assert_int_equal(judge("1763082600000", NULL, "{}", false), LATE_REFUSED);
    assert_int_equal(judge("1763082000000", NULL, "{}", false), LATE_REFUSED);
    assert_int_equal(judge(NULL, "1763082005000", "{}", true), LATE_REFUSED);
}

/* This process has met it locked, each time so far. */
static void met_locked(void **state)
{
    (void)state;
    const struct due_state due = {text("1763082000000"), text(NULL), text(NULL), text(NULL)};
    const struct due_state claimed = {text(NULL), text("1763082005000"), text(NULL), text(NULL)};
    const struct due_state put_back = {text("1763082000001"), text(NULL), text(NULL), text(NULL)};
    const struct due_state refused = {text("1763082000000"), text(NULL), text("{}"), text(NULL)};
    const struct due_state far_ahead = {text("1763082600000"), text(NULL), text(NULL), text(NULL)};
    const struct due_state nowhere = {text(NULL), text(NULL), text(NULL), text(NULL)};
    assert_int_equal(late_judge(&due, NOW_MS, false, true), LATE_LOCKED);
    assert_int_equal(late_judge(&claimed, NOW_MS, false, true), LATE_LOCKED);
    assert_int_equal(late_judge(&put_back, NOW_MS, false, true), LATE_LOCKED);
    assert_int_equal(late_judge(&refused, NOW_MS, false, true), LATE_REFUSED);
    /* Nothing leads to it in time, whoever locked it. */
    assert_int_equal(late_judge(&far_ahead, NOW_MS, false, true), LATE_LOST);
    assert_int_equal(late_judge(&nowhere, NOW_MS, false, true), LATE_LOST);
    /* While Postgres releases nothing, that is why. */
    assert_int_equal(late_judge(&due, NOW_MS, true, true), LATE_AT_WORK);
    assert_int_equal(late_judge(&put_back, NOW_MS, true, true), LATE_AT_WORK);
}

static void what_counts(void **state)
{
    (void)state;
    assert_true(late_counts(LATE_AT_WORK));
    assert_true(late_counts(LATE_LOST));
    assert_false(late_counts(LATE_LOCKED));
    assert_false(late_counts(LATE_REFUSED));
}

static void found_by_id(void **state)
{
    (void)state;
    struct late_row rows[] = {{.id = "c"}, {.id = "a"}, {.id = "bb"}, {.id = "b"}};
    struct late_row *index[ARRAY_LEN(rows)];
    struct late l = {.rows = rows, .n = ARRAY_LEN(rows), .by_id = index};
    late_index(&l);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_ptr_equal(late_find(&l, rows[i].id), &rows[i]);
    assert_null(late_find(&l, "bc"));
    assert_null(late_find(&l, ""));
}

static void an_empty_list(void **state)
{
    struct late none = {.rows = NULL};
    (void)state;
    assert_null(late_find(&none, "x"));
    late_clear(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),         cmocka_unit_test(met_locked),
        cmocka_unit_test(what_counts),   cmocka_unit_test(found_by_id),
        cmocka_unit_test(an_empty_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
