/* Ids that were seen: each is known as what it was seen as, also when there are very many. */
#include "reconcile/seen.h"

#include "unit.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MANY 100000
#define MORE_THAN_FIT 1600000

static void number(char id[16], int n)
{
    snprintf(id, 16, "%08d-x", n); /* more than eight bytes, which are taken at a time */
}

static void test_as_what_it_was_seen(void **state)
{
    struct seen *s = seen_new();
    (void)state;
    assert_non_null(s);
    assert_false(seen_has(s, SEEN_ACTIVE, "a", 1));
    assert_true(seen_add(s, SEEN_ACTIVE, "a", 1));
    assert_false(seen_add(s, SEEN_ACTIVE, "a", 1));
    assert_true(seen_has(s, SEEN_ACTIVE, "a", 1));
    assert_false(seen_has(s, SEEN_SPENT, "a", 1));
    assert_true(seen_add(s, SEEN_SPENT, "a", 1));
    /* Any bytes, and each of them counts. */
    assert_false(seen_has(s, SEEN_ACTIVE, "a\0", 2));
    assert_true(seen_add(s, SEEN_ACTIVE, "12345678a", 9));
    assert_false(seen_has(s, SEEN_ACTIVE, "12345678b", 9));
    assert_false(seen_has(s, SEEN_ACTIVE, "02345678a", 9));
    assert_true(seen_add(s, SEEN_ACTIVE, "", 0));
    assert_true(seen_has(s, SEEN_ACTIVE, "", 0));
    seen_free(s);
}

static void test_many(void **state)
{
    struct seen *s = seen_new();
    size_t bytes = seen_bytes(s);
    char id[16];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        number(id, i);
        assert_true(seen_add(s, SEEN_ACTIVE, id, strlen(id)));
    }
    for (int i = 0; i < MANY; i++) {
        number(id, i);
        assert_true(seen_has(s, SEEN_ACTIVE, id, strlen(id)));
        number(id, MANY + i);
        assert_false(seen_has(s, SEEN_ACTIVE, id, strlen(id)));
    }
    assert_true(seen_bytes(s) > bytes);
    assert_in_range(seen_bytes(s), MANY * sizeof(uint64_t), 4 * MANY * sizeof(uint64_t));
    seen_free(s);
}

/* It ends somewhere: what is not noted is new each time. */
static void test_more_than_fit(void **state)
{
    struct seen *s = seen_new();
    char id[16];
    int again = 0;
    (void)state;
    for (int i = 0; i < MORE_THAN_FIT; i++) {
        number(id, i);
        (void)seen_add(s, SEEN_ACTIVE, id, strlen(id));
    }
    assert_int_equal(seen_bytes(s), 16 << 20);
    number(id, 0);
    assert_true(seen_has(s, SEEN_ACTIVE, id, strlen(id)));
    for (int i = MORE_THAN_FIT - 1000; i < MORE_THAN_FIT; i++) {
        number(id, i);
        again += seen_add(s, SEEN_ACTIVE, id, strlen(id)) ? 1 : 0;
    }
    assert_true(again > 900);
    seen_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_what_it_was_seen),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_more_than_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
