/* The first hundred of a minute, and what the rest consists of. */
#include "release/tally.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)

static const char one[] = "p1";

/* How many of n, all at the same moment, are to be written. */
static int add(struct tally *t, int n, const char *sqlstate, int64_t mono_us)
{
    int said = 0;
    for (int i = 0; i < n; i++)
        said += tally_add(t, sqlstate, one, sizeof(one), mono_us) ? 1 : 0;
    return said;
}

static void a_hundred_a_minute(void **state)
{
    (void)state;
    struct tally t = {0};
    assert_int_equal(tally_due_us(&t), INT64_MAX);
    assert_int_equal(add(&t, 60, "23514", 5), 60);
    assert_int_equal(tally_due_us(&t), INT64_MAX);
    assert_int_equal(add(&t, 60, "23514", 59 * SECOND_US), 40);
    assert_int_equal(t.count, 20);
    assert_int_equal(tally_due_us(&t), 5 + 60 * SECOND_US);
    /* The next minute begins with its first one, whenever that comes. */
    tally_clear(&t);
    assert_int_equal(add(&t, 101, "23514", 90 * SECOND_US), 100);
    assert_int_equal(add(&t, 1, "23514", 149 * SECOND_US), 0);
    assert_int_equal(tally_due_us(&t), 150 * SECOND_US);
    assert_int_equal(t.count, 2);
    assert_int_equal(add(&t, 1, "23514", 150 * SECOND_US), 1);
    tally_clear(&t);
}

static void what_was_told_is_not_told_again(void **state)
{
    (void)state;
    struct tally t = {0};
    assert_int_equal(add(&t, 150, "23514", SECOND_US), 100);
    tally_clear(&t);
    assert_int_equal(tally_due_us(&t), INT64_MAX);
    assert_int_equal(add(&t, 7, "P0001", 2 * SECOND_US), 0);
    assert_int_equal(t.count, 7);
    assert_string_equal(t.sqlstates[0].name, "P0001");
    assert_int_equal(t.sqlstates[0].count, 7);
    assert_int_equal(t.products[0].count, 7);
    tally_clear(&t);
}

static void counts_by_sqlstate_and_by_product(void **state)
{
    (void)state;
    struct tally t = {0};
    static const char several[] = "p2\0p3";
    (void)add(&t, 100, "23514", SECOND_US);
    (void)add(&t, 3, "23514", SECOND_US);
    (void)add(&t, 2, "P0001", SECOND_US);
    for (int i = 0; i < 9; i++)
        assert_false(tally_add(&t, "P0001", several, sizeof(several), SECOND_US));
    assert_false(tally_add(&t, "", NULL, 0, SECOND_US)); /* nothing is known of it */
    tally_sort(&t);
    assert_int_equal(t.count, 15);
    assert_string_equal(t.sqlstates[0].name, "23514");
    assert_int_equal(t.sqlstates[0].count, 3);
    assert_string_equal(t.sqlstates[1].name, "P0001");
    assert_int_equal(t.sqlstates[1].count, 11);
    assert_string_equal(t.sqlstates[2].name, "");
    assert_string_equal(t.products[0].name, "p2");
    assert_string_equal(t.products[1].name, "p3");
    assert_string_equal(t.products[2].name, "p1");
    assert_int_equal(t.products[2].count, 5);
    assert_int_equal(t.other_products, 0);
    tally_clear(&t);
}

static void is_bounded(void **state)
{
    (void)state;
    struct tally t = {0};
    char product[400], sqlstate[8];
    uint64_t products = 0, sqlstates = 0;
    (void)add(&t, 100, "23514", SECOND_US);
    for (int i = 0; i < 1000; i++) {
        snprintf(sqlstate, sizeof(sqlstate), "X%04d", i % 50); /* five characters */
        snprintf(product, sizeof(product), "%d-%0300d", i % 200, 1);
        assert_false(tally_add(&t, sqlstate, product, strlen(product) + 1, SECOND_US));
    }
    for (size_t i = 0; i < TALLY_SQLSTATES; i++)
        sqlstates += t.sqlstates[i].count;
    for (size_t i = 0; i < TALLY_PRODUCTS; i++) {
        assert_true(strlen(t.products[i].name) <= TALLY_PRODUCT_MAX);
        products += t.products[i].count;
    }
    assert_int_equal(sqlstates, 1000);
    assert_string_equal(t.sqlstates[TALLY_SQLSTATES - 1].name, "other");
    assert_int_equal(products + t.other_products, 1000);
    tally_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_a_minute),
        cmocka_unit_test(what_was_told_is_not_told_again),
        cmocka_unit_test(counts_by_sqlstate_and_by_product),
        cmocka_unit_test(is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
