/* What is said of a fault that lasts, second by second, and what is not. */
#include "base/outage.h"

#include "unit.h"

#define MS INT64_C(1000)
#define S (1000 * MS)
#define START (1000 * S)

/* Lets the fault last from `from_us` to `to_us` for the reason, looked at every half second. */
static unsigned go_on(struct outage *o, const char *reason, int64_t from_us, int64_t to_us,
                      enum outage_say *last)
{
    unsigned said = 0;
    for (int64_t now_us = from_us; now_us < to_us; now_us += 500 * MS) {
        enum outage_say say = outage_on(o, reason, true, now_us);
        if (say != OUTAGE_SILENT) {
            said++;
            *last = say;
        }
    }
    return said;
}

static void test_from_its_beginning_to_its_end(void **state)
{
    (void)state;
    struct outage o = {0};
    enum outage_say last = OUTAGE_SILENT;
    assert_int_equal(outage_off(&o, START), OUTAGE_SILENT);
    assert_int_equal(outage_check(&o, START), OUTAGE_SILENT);
    assert_int_equal(outage_on(&o, "refused", true, START), OUTAGE_WARN);
    assert_int_equal(go_on(&o, "refused", START, START + 30 * S, &last), 0);
    assert_int_equal(outage_check(&o, START + 30 * S), OUTAGE_ERROR);
    assert_int_equal(o.lasted_us, 30 * S);
    assert_int_equal(go_on(&o, "refused", START + 30 * S, START + 330 * S, &last), 0);
    assert_int_equal(outage_check(&o, START + 330 * S), OUTAGE_ERROR);
    assert_int_equal(go_on(&o, "refused", START + 330 * S, START + 3630 * S, &last), 10);
    assert_int_equal(outage_off(&o, START + 3631 * S), OUTAGE_OVER);
    assert_int_equal(o.lasted_us, 3631 * S);
    assert_int_equal(outage_off(&o, START + 3632 * S), OUTAGE_SILENT);
    assert_int_equal(outage_check(&o, START + 9999 * S), OUTAGE_SILENT);
}

static void test_another_reason_is_said_at_once(void **state)
{
    (void)state;
    struct outage o = {0};
    assert_int_equal(outage_on(&o, "refused", true, START), OUTAGE_WARN);
    assert_int_equal(outage_on(&o, "wrong password", true, START + S), OUTAGE_WARN);
    assert_string_equal(o.reason, "wrong password");
    assert_int_equal(outage_check(&o, START + 30 * S), OUTAGE_ERROR);
    assert_int_equal(outage_on(&o, "too many clients", true, START + 31 * S), OUTAGE_ERROR);
    assert_int_equal(outage_on(&o, "too many clients", true, START + 32 * S), OUTAGE_SILENT);
}

static void test_numbers_are_no_other_reason(void **state)
{
    (void)state;
    struct outage o = {0};
    assert_int_equal(outage_on(&o, "port 5432: refused", true, START), OUTAGE_WARN);
    assert_int_equal(outage_on(&o, "port 5433: refused", true, START + S), OUTAGE_SILENT);
}

static void test_two_reasons_that_alternate_are_no_storm(void **state)
{
    (void)state;
    struct outage o = {0};
    unsigned said = 0;
    for (int n = 0; n < 20 * 290; n++)
        said += outage_on(&o, n % 2 ? "a" : "b", true, START + n * 50 * MS) != OUTAGE_SILENT;
    assert_int_equal(said, 3); /* both, and the ERROR */
}

static void test_a_former_reason_that_stays_is_said_again(void **state)
{
    (void)state;
    struct outage o = {0};
    enum outage_say last = OUTAGE_SILENT;
    assert_int_equal(outage_on(&o, "refused", true, START), OUTAGE_WARN);
    assert_int_equal(outage_on(&o, "password", true, START + S), OUTAGE_WARN);
    assert_int_equal(go_on(&o, "refused", START + 2 * S, START + 29 * S, &last), 0);
    assert_int_equal(go_on(&o, "refused", START + 29 * S, START + 41 * S, &last), 1);
    assert_int_equal(last, OUTAGE_ERROR);
}

static void test_ever_new_reasons_are_bounded(void **state)
{
    (void)state;
    struct outage o = {0};
    unsigned said = 0;
    char reason[] = "strange: aa";
    for (int n = 0; n < 26 * 26; n++) {
        reason[9] = (char)('a' + n / 26);
        reason[10] = (char)('a' + n % 26);
        said += outage_on(&o, reason, true, START + n * 50 * MS) != OUTAGE_SILENT;
    }
    assert_int_equal(said, OUTAGE_REASONS + 1); /* and the ERROR */
}

static void test_a_blip_is_not_said_and_what_lasts_is(void **state)
{
    (void)state;
    struct outage o = {0};
    assert_int_equal(outage_on(&o, "closed", false, START), OUTAGE_SILENT);
    assert_int_equal(outage_off(&o, START + 50 * MS), OUTAGE_SILENT);
    assert_int_equal(outage_on(&o, "closed", false, START + 10 * S), OUTAGE_SILENT);
    assert_int_equal(outage_check(&o, START + 10 * S + 500 * MS), OUTAGE_WARN);
    assert_int_equal(outage_off(&o, START + 11 * S), OUTAGE_OVER);
    assert_int_equal(outage_on(&o, "closed", false, START + 100 * S), OUTAGE_SILENT);
    assert_int_equal(outage_on(&o, "refused", true, START + 100 * S + 1), OUTAGE_WARN);
}

static void test_what_nobody_looked_at_has_an_end(void **state)
{
    (void)state;
    struct outage o = {0};
    assert_int_equal(outage_on(&o, "closed", false, START), OUTAGE_SILENT);
    assert_int_equal(outage_off(&o, START + 5 * S), OUTAGE_OVER);
    assert_int_equal(o.lasted_us, 5 * S);
}

static void test_many_blips_are_one_line_a_while(void **state)
{
    (void)state;
    struct outage o = {0};
    unsigned said = 0, often = 0;
    for (int n = 1; n <= 400; n++) { /* a session that is ended every 3 s, for 20 minutes */
        said += outage_on(&o, "idle", false, START + n * 3 * S) != OUTAGE_SILENT;
        if (outage_off(&o, START + n * 3 * S + 20 * MS) == OUTAGE_OFTEN) {
            assert_int_equal(o.brief, often == 0 ? 5 : 100);
            often++;
        }
    }
    assert_int_equal(said, 0);
    assert_int_equal(often, 4);
}

static void test_few_blips_are_never_said(void **state)
{
    (void)state;
    struct outage o = {0};
    for (int n = 1; n <= 100; n++) { /* one in two minutes */
        assert_int_equal(outage_on(&o, "idle", false, START + n * 120 * S), OUTAGE_SILENT);
        assert_int_equal(outage_off(&o, START + n * 120 * S + 20 * MS), OUTAGE_SILENT);
    }
}

static void test_what_comes_and_goes_is_said_less_and_less(void **state)
{
    (void)state;
    struct outage o = {0};
    unsigned said = 0;
    for (int n = 0; n < 600; n++) { /* a second each, for 20 minutes */
        int64_t now_us = START + n * 2 * S;
        said += outage_on(&o, "refused", true, now_us) != OUTAGE_SILENT;
        said += outage_off(&o, now_us + S) != OUTAGE_SILENT;
    }
    assert_true(said <= 2 + 5);
}

static void test_a_new_reason_of_one_that_comes_back_is_said_at_once(void **state)
{
    (void)state;
    struct outage o = {0};
    assert_int_equal(outage_on(&o, "refused", true, START), OUTAGE_WARN);
    assert_int_equal(outage_off(&o, START + S), OUTAGE_OVER);
    assert_int_equal(outage_on(&o, "refused", true, START + 2 * S), OUTAGE_SILENT);
    assert_int_equal(outage_on(&o, "no right", true, START + 2 * S + 1), OUTAGE_WARN);
    assert_int_equal(outage_off(&o, START + 3 * S), OUTAGE_OVER);
    /* Quiet for a minute: a new one. */
    assert_int_equal(outage_on(&o, "refused", true, START + 63 * S), OUTAGE_WARN);
}

static void test_one_that_comes_back_and_stays_is_an_error_in_time(void **state)
{
    (void)state;
    struct outage o = {0};
    enum outage_say last = OUTAGE_SILENT;
    for (int n = 0; n < 10; n++) {
        (void)outage_on(&o, "refused", true, START + n * 40 * S);
        assert_int_equal(outage_check(&o, START + n * 40 * S + 30 * S), OUTAGE_ERROR);
        (void)outage_off(&o, START + n * 40 * S + 35 * S);
    }
    assert_int_equal(go_on(&o, "refused", START + 400 * S, START + 430 * S, &last), 0);
    assert_int_equal(outage_check(&o, START + 430 * S), OUTAGE_ERROR);
}

/* 2 s, 4 s, 8 s, 16 s, then 30 s each time; a minute of quiet and all begins anew. */
static void test_relapses_are_said_later_and_later(void **state)
{
    (void)state;
    static const int64_t waits_us[] = {2 * S, 4 * S, 8 * S, 16 * S, 30 * S, 30 * S};
    struct outage o = {0};
    int64_t now_us = START;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(outage_on(&o, "refused", true, now_us), OUTAGE_WARN);
        assert_int_equal(outage_off(&o, now_us), OUTAGE_OVER);
        for (size_t i = 0; i < ARRAY_LEN(waits_us); i++) {
            now_us += 10 * S;
            assert_int_equal(outage_on(&o, "refused", true, now_us), OUTAGE_SILENT);
            now_us += waits_us[i];
            assert_int_equal(outage_check(&o, now_us - 1), OUTAGE_SILENT);
            assert_int_equal(outage_check(&o, now_us),
                             waits_us[i] < 30 * S ? OUTAGE_WARN : OUTAGE_ERROR);
            assert_int_equal(outage_off(&o, now_us), OUTAGE_OVER);
        }
        now_us += 60 * S;
    }
}

/* What lasted before says nothing of the next one. */
static void test_a_blip_after_an_outage(void **state)
{
    (void)state;
    struct outage o = {0};
    assert_int_equal(outage_on(&o, "refused", true, START), OUTAGE_WARN);
    assert_int_equal(outage_off(&o, START + S), OUTAGE_OVER);
    assert_int_equal(outage_on(&o, "lost", false, START + 100 * S), OUTAGE_SILENT);
    assert_int_equal(outage_check(&o, START + 100 * S + 499 * MS), OUTAGE_SILENT);
    assert_int_equal(outage_check(&o, START + 100 * S + 500 * MS), OUTAGE_WARN);
}

static void test_how_many_short_ones(void **state)
{
    (void)state;
    struct outage o = {0};
    for (int i = 0; i < 5; i++) {
        int64_t now_us = START + i * S;
        assert_int_equal(outage_on(&o, "lost", false, now_us), OUTAGE_SILENT);
        assert_int_equal(outage_off(&o, now_us + 100 * MS), i < 4 ? OUTAGE_SILENT : OUTAGE_OFTEN);
    }
    assert_int_equal(o.brief, 5);
    assert_int_equal(o.brief_us, 4 * S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_its_beginning_to_its_end),
        cmocka_unit_test(test_another_reason_is_said_at_once),
        cmocka_unit_test(test_numbers_are_no_other_reason),
        cmocka_unit_test(test_two_reasons_that_alternate_are_no_storm),
        cmocka_unit_test(test_a_former_reason_that_stays_is_said_again),
        cmocka_unit_test(test_ever_new_reasons_are_bounded),
        cmocka_unit_test(test_a_blip_is_not_said_and_what_lasts_is),
        cmocka_unit_test(test_what_nobody_looked_at_has_an_end),
        cmocka_unit_test(test_many_blips_are_one_line_a_while),
        cmocka_unit_test(test_few_blips_are_never_said),
        cmocka_unit_test(test_what_comes_and_goes_is_said_less_and_less),
        cmocka_unit_test(test_a_new_reason_of_one_that_comes_back_is_said_at_once),
        cmocka_unit_test(test_one_that_comes_back_and_stays_is_an_error_in_time),
        cmocka_unit_test(test_relapses_are_said_later_and_later),
        cmocka_unit_test(test_a_blip_after_an_outage),
        cmocka_unit_test(test_how_many_short_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
