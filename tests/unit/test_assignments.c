/* What SQL assignments assign. */
#include "store/assignments.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

/* "column := value" of each, separated by "; "; NULL: of another form. */
static const char *read(const char *sql)
{
    static char out[512];
    struct assignments a;
    out[0] = '\0';
    if (assignments_read(&a, sql) != 0)
        return NULL;
    for (size_t i = 0; i < a.n; i++) {
        size_t used = strlen(out);
        snprintf(out + used, sizeof(out) - used, "%s%s := %s", i > 0 ? "; " : "", a.list[i].column,
                 a.list[i].value);
    }
    assignments_clear(&a);
    return out;
}

static void test_columns_and_values(void **state)
{
    (void)state;
    assert_string_equal(read("status = 'released', updated_at = now()"),
                        "status := 'released'; updated_at := now()");
    assert_string_equal(read("\n  Status='a,b' ,\n \"Of It\" = f(x, ARRAY[1, 2]) -- , c = 1\n"),
                        "status := 'a,b'; Of It := f(x, ARRAY[1, 2])");
    assert_string_equal(read("\"a\"\"b\" = $t$, c = 1$t$"), "a\"b := $t$, c = 1$t$");
    assert_string_equal(read("n = n - 1"), "n := n - 1");
    assert_string_equal(read("held = (SELECT 1, 2)"), "held := (SELECT 1, 2)");
}

static void test_other_forms(void **state)
{
    (void)state;
    static const char *const others[] = {
        "", "(a, b) = (1, 2)", "a[1] = 2", "a", "a =", "a = , b = 1", "a = 1,", "1 = a", "a.b = 1"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_null(read(others[i]));
}

static void test_have(void **state)
{
    (void)state;
    struct assignments a;
    assert_int_equal(assignments_read(&a, "status = 1, \"Held\" = 2"), 0);
    assert_true(assignments_have(&a, "status") && assignments_have(&a, "Held"));
    assert_false(assignments_have(&a, "held") || assignments_have(&a, "stat"));
    assignments_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_and_values),
        cmocka_unit_test(test_other_forms),
        cmocka_unit_test(test_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
