/* Times as text. */
#include "base/iso_time.h"
#include "unit.h"

#include <string.h>

static void test_times(void **state)
{
    static const struct {
        int64_t us;
        const char *text, *seconds;
    } rows[] = {
        {INT64_C(1763082000000000), "2025-11-14T01:00:00.000Z", "2025-11-14T01:00:00Z"},
        {INT64_C(1763082000001999), "2025-11-14T01:00:00.001Z", "2025-11-14T01:00:00Z"},
        {INT64_C(1763082000999999), "2025-11-14T01:00:00.999Z", "2025-11-14T01:00:00Z"},
        {0, "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59Z"},
        {-1000000, "1969-12-31T23:59:59.000Z", "1969-12-31T23:59:59Z"},
        {INT64_C(253402300799999999), "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59Z"},
    };
    char text[ISO_TIME_SIZE];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_string_equal(iso_time(rows[i].us, text), rows[i].text);
        assert_string_equal(iso_time_seconds(rows[i].us, text), rows[i].seconds);
    }
}

static void test_whatever_a_clock_says(void **state)
{
    static const int64_t rows[] = {INT64_MIN, INT64_MAX};
    char text[ISO_TIME_SIZE];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_true(strlen(iso_time(rows[i], text)) < sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_whatever_a_clock_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
