/* Which columns assignments may set. */
#include "store/released.h"

#include "unit.h"

static void test_a_column_that_is_named(void **state)
{
    (void)state;
    assert_true(released_may_set("quantity = 0", "quantity"));
    assert_true(released_may_set("status = 'x', Quantity=0", "quantity"));
    assert_true(released_may_set("\"quantity\" = 0", "quantity"));
    assert_true(released_may_set("(a,quantity)=(1,0)", "quantity"));
    assert_true(released_may_set("a = 1,quantity", "quantity"));
    assert_true(released_may_set("a = quantity", "quantity")); /* it might */
}

static void test_a_column_that_is_not_named(void **state)
{
    (void)state;
    assert_false(released_may_set("status = 'released', updated_at = now()", "quantity"));
    assert_false(released_may_set("status = 'void', order_id = NULL, id2 = 1, idle = 1", "id"));
    assert_false(released_may_set("id$ = 1, \xC3\xA4id = 1, id\xC3\xA4 = 1", "id"));
    assert_false(released_may_set("note = 'id', b = $$id$$ -- id", "id"));
    assert_false(released_may_set("\"Id\" = 1, \"an id\" = 2", "id"));
    assert_false(released_may_set("", "id"));
    assert_false(released_may_set("i", "id"));
}

static void test_what_nobody_can_tell(void **state)
{
    (void)state;
    assert_true(released_may_set("U&\"quantit\\0079\" = 0", "quantity"));
    assert_true(released_may_set("a = 1, u&\"quantit\\0079\" = 0", "quantity"));
    assert_true(released_may_set("status = 1", "a\"b"));
    assert_true(released_may_set("status = 'unended", "id"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_column_that_is_named),
        cmocka_unit_test(test_a_column_that_is_not_named),
        cmocka_unit_test(test_what_nobody_can_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
