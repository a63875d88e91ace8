/* A few records a minute. */
#include "base/few.h"
#include "unit.h"

static void test_a_flood(void **state)
{
    struct few f = {.more = 0};
    int said = 0;
    (void)state;
    for (int i = 0; i < 1000; i++)
        said += few_may(&f, 5 + i) ? 1 : 0;
    assert_int_equal(said, FEW_MOST);
    assert_int_equal(f.more, 1000 - FEW_MOST);
    assert_false(few_may(&f, 4 + 60 * 1000000LL));
    assert_true(few_may(&f, 5 + 60 * 1000000LL));
    assert_int_equal(f.more, 1000 - FEW_MOST + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
