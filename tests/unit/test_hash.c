/* Hashes of texts. */
#include "base/hash.h"
#include "unit.h"

/* FNV-1a's own test vectors. */
static void test_fnv(void **state)
{
    (void)state;
    assert_true(hash_text("") == UINT64_C(0xcbf29ce484222325));
    assert_true(hash_text("a") == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(hash_text("foobar") == UINT64_C(0x85944171f73967e8));
}

static void test_digits_are_left_out(void **state)
{
    (void)state;
    assert_true(hash_without_digits("port 0123456789!") == hash_text("port !"));
    assert_true(hash_without_digits("/:") == hash_text("/:"));
    assert_true(hash_without_digits("a1") != hash_without_digits("b1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fnv),
        cmocka_unit_test(test_digits_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
