/* Whole numbers as text: as printf writes them. */
#include "base/int_text.h"
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void check(int64_t number)
{
    char text[INT_TEXT], expected[INT_TEXT];
    size_t len = (size_t)snprintf(expected, sizeof(expected), "%" PRId64, number);
    memset(text, 'x', sizeof(text));
    assert_int_equal(int_text(text, number), len);
    assert_string_equal(text, expected);
}

static void test_as_printf(void **state)
{
    (void)state;
    check(INT64_MIN);
    check(INT64_MAX);
    for (int64_t power = 1; power < INT64_MAX / 10; power *= 10)
        for (int64_t number = power - 2; number <= power + 1; number++) {
            check(number);
            check(-number);
        }
}

static void test_grouped(void **state)
{
    static const struct {
        int64_t number;
        const char *text;
    } rows[] = {
        {0, "0"},
        {999, "999"},
        {1000, "1,000"},
        {-100, "-100"},
        {-1000, "-1,000"},
        {1234567, "1,234,567"},
        {INT64_MIN, "-9,223,372,036,854,775,808"},
    };
    char text[INT_TEXT_GROUPED];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(int_text_grouped(text, rows[i].number), rows[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_printf),
                                       cmocka_unit_test(test_grouped)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
