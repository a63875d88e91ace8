/* Arrays as Postgres reads them. */
#include "link/pg_array.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static void is(const char *const *elements, size_t n, const char *expected)
{
    struct pg_array a = {0};
    for (size_t i = 0; i < n; i++)
        pg_array_add(&a, elements[i], strlen(elements[i]));

    char *text = pg_array_finish(&a);
    assert_string_equal(text, expected);
    free(text);
}

static void test_elements(void **state)
{
    static const char *const plain[] = {"a", "b,c", "{}"};
    static const char *const odd[] = {"", "NULL", "\"", "\\", "a\"b\\c", " \n\xff"};
    (void)state;
    is(NULL, 0, "{}");
    is(plain, 1, "{\"a\"}");
    is(plain, 3, "{\"a\",\"b,c\",\"{}\"}");
    is(odd, 6, "{\"\",\"NULL\",\"\\\"\",\"\\\\\",\"a\\\"b\\\\c\",\" \n\xff\"}");
}

/* Every length around those at which it grows, all bytes quoted or none. */
static void test_growth(void **state)
{
    static char element[300];
    (void)state;
    for (int quoted = 0; quoted <= 1; quoted++) {
        for (size_t len = 0; len < sizeof(element); len++) {
            struct pg_array a = {0};
            size_t each = quoted ? 2 * len : len;
            memset(element, quoted ? '"' : 'x', len);
            for (int i = 0; i < 3; i++)
                pg_array_add(&a, element, len);

            char *text = pg_array_finish(&a);
            assert_int_equal(strlen(text), 3 * (each + 3) + 1);
            assert_int_equal(text[strlen(text) - 1], '}');
            free(text);
        }
    }
}

/* It may be used again, and elements need no end. */
static void test_anew(void **state)
{
    struct pg_array a = {0};
    (void)state;
    pg_array_add(&a, "long", 2);
    free(pg_array_finish(&a));
    pg_array_add(&a, "ab", 1);

    char *text = pg_array_finish(&a);
    assert_string_equal(text, "{\"a\"}");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
