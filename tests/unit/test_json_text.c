/* Any bytes as JSON. */
#include "base/json_text.h"
#include "unit.h"

#include <jansson.h>
#include <string.h>

#define FFFD "\xEF\xBF\xBD"

static void test_bytes(void **state)
{
    static const struct {
        const char *in;
        size_t len;
        const char *out;
        size_t out_len;
    } rows[] = {
        {"", 0, "", 0},
        {"plain", 5, "plain", 5},
        {"cut off", 3, "cut", 3},
        {"a\0b", 3, "a\0b", 3},
        {"gr\xC3\xBC\xE2\x82\xAC\xF0\x9F\x9B\x92", 11, "gr\xC3\xBC\xE2\x82\xAC\xF0\x9F\x9B\x92",
         11},
        {"\xFF", 1, FFFD, 3},
        {"\xE2\x82", 2, FFFD FFFD, 6},
        {"\xE2\x82\xAC", 2, FFFD FFFD, 6}, /* what follows is not looked at */
        {"x\xC3\xBC\xC3(\0\xFE", 7, "x\xC3\xBC" FFFD "(\0" FFFD, 11},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        json_t *json = json_bytes(rows[i].in, rows[i].len);
        assert_int_equal(json_string_length(json), rows[i].out_len);
        assert_memory_equal(json_string_value(json), rows[i].out, rows[i].out_len);
        json_decref(json);
    }
}

static void test_text(void **state)
{
    json_t *json = json_text("a\xFFz");
    (void)state;
    assert_string_equal(json_string_value(json), "a" FFFD "z");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
