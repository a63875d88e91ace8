/* The breakers of all products: which reservations are tried, and what opens and closes them. */
#include "base/log.h"
#include "link/loop.h"
#include "release/breakers.h"
#include "release/refusal_log.h"
#include "release/release.h"
#include "shop_queue.h"
#include "unit.h"

#include <argz.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000

static struct loop *loop;
static struct refusal_log *names; /* of those whose breaker opens */

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    names = loop != NULL ? refusal_log_new(loop) : NULL;
    return names != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    refusal_log_free(names);
    loop_free(loop);
    return 0;
}

static struct item make(const char *id, const char *product, const char *other)
{
    struct item item;
    assert_int_equal(item_init(&item, id, strlen(id)), 0);
    assert_int_equal(argz_add(&item.products, &item.products_len, product), 0);
    if (other != NULL)
        assert_int_equal(argz_add(&item.products, &item.products_len, other), 0);
    memcpy(item.sqlstate, "23514", 6);
    item.error = strdup("violates a check");
    return item;
}

static void refuse(struct breakers *b, const char *product, const char *other, int times,
                   enum refusal_cause cause, int64_t now_us)
{
    struct item item = make("refused", product, other);
    for (int i = 0; i < times; i++)
        breakers_refused(b, &item, cause, now_us);
    item_clear(&item);
}

static void release(struct breakers *b, const char *product)
{
    struct item item = make("released", product, NULL);
    breakers_released(b, &item);
    item_clear(&item);
}

/* How many of three reservations are tried, and what becomes of the last one. */
static size_t tried(struct breakers *b, const char *product, const char *other, int64_t now_us,
                    enum outcome *last, int64_t *wait_us)
{
    struct item items[3];
    struct item *order[3];
    size_t left = 0;
    for (int i = 0; i < 3; i++) {
        const char id[] = {(char)('a' + i), '\0'};
        items[i] = make(id, product, other);
        order[i] = &items[i];
    }
    size_t n = breakers_sift(b, order, 3, now_us, &left);
    assert_int_equal(left, n == 1 ? 2 : 0);
    if (left > 0) /* a trial: the others are judged after it */
        assert_int_equal(breakers_sift(b, order + 1, left, now_us, &left), 0);
    if (last != NULL)
        *last = order[2]->outcome;
    if (wait_us != NULL)
        *wait_us = order[2]->wait_us;
    for (int i = 0; i < 3; i++)
        item_clear(&items[i]);
    return n;
}

static void ten_in_a_row(void **state)
{
    struct breakers *b = breakers_new(&shop_queue, names);
    enum outcome last = OUTCOME_NONE;
    int64_t wait_us = 0;
    (void)state;
    assert_non_null(b);
    assert_false(breakers_any(b, 0));
    refuse(b, "A", NULL, 9, CAUSE_COUNTER, 0);
    assert_true(breakers_any(b, 0));
    assert_int_equal(tried(b, "A", NULL, 0, NULL, NULL), 3);
    release(b, "A"); /* not in a row */
    refuse(b, "A", NULL, 9, CAUSE_COUNTER, 0);
    assert_int_equal(tried(b, "A", NULL, 0, NULL, NULL), 3);
    refuse(b, "A", NULL, 1, CAUSE_COUNTER, 0);
    assert_int_equal(tried(b, "A", NULL, 0, &last, &wait_us), 0);
    assert_int_equal(last, OUTCOME_DEFERRED);
    assert_in_range(wait_us, SECOND, 2 * SECOND);
    assert_int_equal(tried(b, "B", NULL, 0, NULL, NULL), 3);
    breakers_free(b);
}

static void one_trial_for_each_back_off(void **state)
{
    struct breakers *b = breakers_new(&shop_queue, names);
    int64_t wait_us = 0;
    (void)state;
    refuse(b, "A", NULL, 10, CAUSE_COUNTER, 0);
    assert_int_equal(tried(b, "A", NULL, SECOND, NULL, NULL), 1);
    assert_int_equal(tried(b, "A", NULL, SECOND, NULL, NULL), 0); /* one at a time */
    refuse(b, "A", NULL, 1, CAUSE_COUNTER, SECOND);
    refuse(b, "A", NULL, 5, CAUSE_COUNTER, SECOND); /* of batches that had begun before */
    assert_int_equal(tried(b, "A", NULL, 3 * SECOND - 1, NULL, &wait_us), 0);
    assert_in_range(wait_us, 1, 2 * SECOND);
    assert_int_equal(tried(b, "A", NULL, 3 * SECOND, NULL, NULL), 1);
    release(b, "A");
    assert_int_equal(tried(b, "A", NULL, 3 * SECOND, NULL, NULL), 3);
    assert_false(breakers_any(b, 3 * SECOND));
    breakers_free(b);
}

static void what_is_not_clear_takes_thirty(void **state)
{
    struct breakers *b = breakers_new(&shop_queue, names);
    (void)state;
    refuse(b, "A", NULL, 100, CAUSE_ROW, 0);
    assert_false(breakers_any(b, 0));
    refuse(b, "A", NULL, 29, CAUSE_UNCLEAR, 0);
    assert_int_equal(tried(b, "A", NULL, 0, NULL, NULL), 3);
    refuse(b, "A", NULL, 1, CAUSE_UNCLEAR, 0);
    assert_int_equal(tried(b, "A", NULL, 0, NULL, NULL), 0);
    breakers_forget(b);
    assert_int_equal(tried(b, "A", NULL, 0, NULL, NULL), 3);
    breakers_free(b);
}

/* A and B are refused together: each of them may be at fault, until one of B is released. */
static void of_several_products(void **state)
{
    struct breakers *b = breakers_new(&shop_queue, names);
    int64_t wait_us = 0;
    (void)state;
    refuse(b, "A", "B", 10, CAUSE_COUNTER, 0);
    assert_int_equal(tried(b, "A", "B", 0, NULL, NULL), 0);
    assert_int_equal(tried(b, "B", "C", 0, NULL, NULL), 0);
    assert_int_equal(tried(b, "B", NULL, SECOND, NULL, NULL), 1);
    release(b, "B");
    assert_int_equal(tried(b, "B", "C", SECOND, NULL, NULL), 3);
    assert_int_equal(tried(b, "B", "A", SECOND, NULL, NULL), 1); /* A's trial */
    refuse(b, "B", "A", 1, CAUSE_COUNTER, SECOND);
    assert_int_equal(tried(b, "B", NULL, SECOND, NULL, NULL), 3);
    refuse(b, "B", "C", 9, CAUSE_COUNTER, SECOND); /* B's first second, A's two */
    assert_int_equal(tried(b, "B", "A", SECOND, NULL, &wait_us), 0);
    assert_in_range(wait_us, 2 * SECOND, 2 * SECOND + SECOND / 10);
    breakers_free(b);
}

/* Some are decided already, one is of a product that is refused, one is its trial. */
static void what_is_sifted(void **state)
{
    struct breakers *b = breakers_new(&shop_queue, names);
    struct item items[5];
    struct item *order[5];
    size_t left = 0;
    (void)state;
    for (int i = 0; i < 5; i++) {
        const char id[] = {(char)('a' + i), '\0'};
        items[i] = make(id, i == 1 || i == 3 ? "A" : "B", NULL);
        order[i] = &items[i];
    }
    items[0].outcome = OUTCOME_MISSING;
    refuse(b, "A", NULL, 10, CAUSE_COUNTER, 0);
    assert_int_equal(breakers_sift(b, order, 5, 0, &left), 2);
    assert_int_equal(left, 0);
    assert_true(order[0] == &items[2] && order[1] == &items[4]);
    assert_int_equal(items[0].outcome, OUTCOME_MISSING);
    assert_int_equal(items[3].outcome, OUTCOME_DEFERRED);
    assert_string_equal(items[3].sqlstate, "23514");
    assert_string_equal(items[3].error, "violates a check");
    assert_int_equal(items[3].wait_us, items[1].wait_us + 1000);
    items[3].outcome = OUTCOME_NONE;
    assert_int_equal(breakers_sift(b, order, 5, SECOND, &left), 1);
    assert_int_equal(left, 4);
    assert_true(order[0] == &items[3]);
    for (int i = 0; i < 5; i++)
        item_clear(&items[i]);
    breakers_free(b);
}

static void it_forgets(void **state)
{
    struct breakers *b = breakers_new(&shop_queue, names);
    char product[16];
    (void)state;
    refuse(b, "A", NULL, 9, CAUSE_COUNTER, 0);
    assert_false(breakers_any(b, 11 * SECOND));
    refuse(b, "A", NULL, 9, CAUSE_COUNTER, 11 * SECOND);
    assert_int_equal(tried(b, "A", NULL, 11 * SECOND, NULL, NULL), 3);
    for (int i = 0; i < 1000; i++) { /* more than there is room for */
        product[0] = (char)('a' + i / 100);
        product[1] = (char)('a' + i / 10 % 10);
        product[2] = (char)('a' + i % 10);
        product[3] = '\0';
        refuse(b, product, NULL, 10, CAUSE_COUNTER, 12 * SECOND + i);
    }
    assert_int_equal(tried(b, product, NULL, 12 * SECOND, NULL, NULL), 0);
    breakers_free(b);
}

static void whose_fault(void **state)
{
    const struct release_result results[] = {
        {.sqlstate = "23514", .table = "inventory"},
        {.sqlstate = "23514", .table = "inventory_reservations"},
        {.sqlstate = "23514", .table = ""},
        {.sqlstate = "P0001", .table = ""},
        {.sqlstate = "22003", .table = ""},
        {.sqlstate = RELEASE_WRONG_COUNTER, .table = ""},
        {.sqlstate = RELEASE_WRONG_ROW, .table = ""},
    };
    const enum refusal_cause causes[] = {CAUSE_COUNTER, CAUSE_ROW,     CAUSE_UNCLEAR, CAUSE_UNCLEAR,
                                         CAUSE_UNCLEAR, CAUSE_COUNTER, CAUSE_ROW};
    (void)state;
    struct breakers *b = breakers_new(&shop_queue, names);
    for (size_t i = 0; i < ARRAY_LEN(results); i++)
        assert_int_equal(breakers_cause(b, &results[i]), causes[i]);
    breakers_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_in_a_row),
        cmocka_unit_test(one_trial_for_each_back_off),
        cmocka_unit_test(what_is_not_clear_takes_thirty),
        cmocka_unit_test(of_several_products),
        cmocka_unit_test(what_is_sifted),
        cmocka_unit_test(it_forgets),
        cmocka_unit_test(whose_fault),
    };
    const struct log_options quiet = {LOG_ERROR, LOG_FORMAT_JSON, "test", true};
    if (log_setup(&quiet) != 0)
        return 1;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
