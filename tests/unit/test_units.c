/* Stock units: read, added up and written without loss. */
#include "base/units.h"
#include "unit.h"

static void check_text(const char *text, const char *same)
{
    struct units units = units_parse(text);
    char out[UNITS_TEXT];
    assert_in_range(units.nano, 0, 999999999);
    units_text(&units, out);
    assert_string_equal(out, same);
}

static void test_reads_what_postgres_writes(void **state)
{
    (void)state;
    check_text("0", "0");
    check_text("1", "1");
    check_text("-3", "-3");
    check_text("1.5", "1.5");
    check_text("1.50", "1.5");
    check_text("2.000", "2");
    check_text("0.1", "0.1");
    check_text("-0.5", "-0.5");
    check_text("-1.5", "-1.5");
    check_text("0.000000001", "0.000000001");
    check_text("0.0000000019", "0.000000001");
    check_text("9223372036854775807", "9223372036854775807");
    check_text("-9223372036854775808", "-9223372036854775808");
    check_text("9223372036854775808", "9223372036854775807");
    check_text("99999999999999999999999999", "9223372036854775807");
    check_text("-99999999999999999999.5", "-9223372036854775808");
}

static void test_nothing_of_what_is_no_number(void **state)
{
    static const char *const texts[] = {"",  "NaN", "Infinity", "-Infinity",
                                        "-", ".5",  "1e5",      "1.5 "};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct units units = units_parse(texts[i]);
        assert_int_equal(units.whole, 0);
        assert_int_equal(units.nano, 0);
    }
}

static void check_sum(const char *a, const char *b, const char *sum)
{
    struct units first = units_parse(a), second = units_parse(b);
    char out[UNITS_TEXT];
    units_add(&first, &second);
    units_text(&first, out);
    assert_string_equal(out, sum);
}

static void test_adds_without_loss(void **state)
{
    struct units tenth = units_parse("0.1"), sum = {0, 0};
    char out[UNITS_TEXT];
    (void)state;
    check_sum("1", "2", "3");
    check_sum("0.1", "0.2", "0.3");
    check_sum("0.7", "0.8", "1.5");
    check_sum("-0.7", "0.2", "-0.5");
    check_sum("-1.5", "-1.5", "-3");
    check_sum("9007199254740993", "0.5", "9007199254740993.5");
    check_sum("9223372036854775807", "1", "9223372036854775807");
    check_sum("9223372036854775807", "-1", "9223372036854775806");
    check_sum("9223372036854775806.5", "0.5", "9223372036854775807");
    check_sum("9223372036854775807.5", "9223372036854775807.5", "9223372036854775807");
    check_sum("-9223372036854775808", "-0.5", "-9223372036854775808");
    for (int i = 0; i < 1000000; i++)
        units_add(&sum, &tenth);
    units_text(&sum, out);
    assert_string_equal(out, "100000");
    assert_true(units_real(&sum) == 100000.0);
    sum = units_parse("-1.5");
    assert_true(units_real(&sum) == -1.5);
}

static void test_negates(void **state)
{
    static const char *const pairs[][2] = {
        {"0", "0"},
        {"3", "-3"},
        {"1.5", "-1.5"},
        {"0.000000001", "-0.000000001"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct units one = units_parse(pairs[i][0]);
        char out[UNITS_TEXT];
        one = units_negated(&one);
        units_text(&one, out);
        assert_string_equal(out, pairs[i][1]);
        one = units_negated(&one);
        units_text(&one, out);
        assert_string_equal(out, pairs[i][0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_postgres_writes),
        cmocka_unit_test(test_nothing_of_what_is_no_number),
        cmocka_unit_test(test_negates),
        cmocka_unit_test(test_adds_without_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
