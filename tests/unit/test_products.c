/* The products of a reservation, for people. */
#include "release/products.h"
#include "release/release.h"

#include "unit.h"

#include <argz.h>
#include <stdlib.h>
#include <string.h>

static void names_with_commas(void **state)
{
    (void)state;
    struct item item = {.id = NULL};
    char text[16];
    assert_null(products_text(&item, text, sizeof(text)));
    assert_int_equal(argz_add(&item.products, &item.products_len, "apple"), 0);
    assert_string_equal(products_text(&item, text, sizeof(text)), "apple");
    assert_int_equal(argz_add(&item.products, &item.products_len, "pear"), 0);
    assert_string_equal(products_text(&item, text, sizeof(text)), "apple,pear");
    assert_int_equal(argz_add(&item.products, &item.products_len, "plum"), 0);
    assert_string_equal(products_text(&item, text, sizeof(text)), "apple,pear,...");
    free(item.products);
}

static void none_has_room(void **state)
{
    (void)state;
    struct item item = {.id = NULL};
    char text[16];
    assert_int_equal(argz_add(&item.products, &item.products_len, "a long name of a fruit"), 0);
    assert_string_equal(products_text(&item, text, sizeof(text)), "...");
    free(item.products);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_with_commas),
        cmocka_unit_test(none_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
