/* Counters that are skipped time and again: which of them is waited for, and by whom. */
#include "base/time_units.h"
#include "release/counter_waits.h"
#include "release/release.h"

#include <stdlib.h>

#include "unit.h"

#define ITEMS 4

struct room {
    struct counter_waits *waits;
    struct item items[ITEMS];
    struct item *order[ITEMS];
};

/* Items that are locked at these counters; NULL: released. */
static void arrange(struct room *r, char *const counters[ITEMS])
{
    for (size_t i = 0; i < ITEMS; i++) {
        r->items[i] = (struct item){
            .outcome = counters[i] != NULL ? OUTCOME_LOCKED : OUTCOME_RELEASED,
            .counter = counters[i],
        };
        r->order[i] = &r->items[i];
    }
}

static size_t gather(struct room *r, int64_t at_us)
{
    return counter_waits_gather(r->waits, r->order, ITEMS, at_us);
}

static void after_a_quarter_of_a_second(void **state)
{
    (void)state;
    struct room r = {.waits = counter_waits_new()};
    arrange(&r, (char *const[]){NULL, "a", NULL, "a"});
    assert_int_equal(gather(&r, SECOND_US), 0);
    assert_int_equal(gather(&r, SECOND_US + 250 * MS_US - 1), 0);
    assert_int_equal(gather(&r, SECOND_US + 250 * MS_US), 2);
    assert_ptr_equal(r.order[0], &r.items[1]);
    assert_ptr_equal(r.order[1], &r.items[3]);
    /* It has been waited for: the quarter begins anew. */
    arrange(&r, (char *const[]){NULL, "a", NULL, "a"});
    assert_int_equal(gather(&r, SECOND_US + 251 * MS_US), 0);
    counter_waits_free(r.waits);
}

static void one_product_at_a_time(void **state)
{
    (void)state;
    struct room r = {.waits = counter_waits_new()};
    char *const counters[ITEMS] = {"a", "b", "a", "b"};
    arrange(&r, counters);
    assert_int_equal(gather(&r, SECOND_US), 0);
    assert_int_equal(gather(&r, 2 * SECOND_US), 2);
    assert_ptr_equal(r.order[0], &r.items[0]);
    assert_ptr_equal(r.order[1], &r.items[2]);
    r.items[0].outcome = r.items[2].outcome = OUTCOME_RELEASED;
    assert_int_equal(gather(&r, 2 * SECOND_US), 2);
    assert_int_equal(gather(&r, 2 * SECOND_US), 0);
    counter_waits_free(r.waits);
}

static void forgotten_after_a_second(void **state)
{
    (void)state;
    struct room r = {.waits = counter_waits_new()};
    arrange(&r, (char *const[]){"a", NULL, NULL, NULL});
    assert_int_equal(gather(&r, SECOND_US), 0);
    assert_int_equal(gather(&r, 2 * SECOND_US + 1), 0);
    assert_int_equal(gather(&r, 3 * SECOND_US + 1), 1);
    counter_waits_free(r.waits);
}

/* Only what a counter keeps: not one whose row is locked, nor one that is refused. */
static void others_are_left_alone(void **state)
{
    (void)state;
    struct room r = {.waits = counter_waits_new()};
    arrange(&r, (char *const[]){"a", "a", "a", "a"});
    r.items[0].counter = NULL;
    for (size_t i = 1; i < ITEMS; i++)
        r.items[i].outcome = OUTCOME_FAILED;
    assert_int_equal(gather(&r, SECOND_US), 0);
    r.items[2].outcome = r.items[3].outcome = OUTCOME_LOCKED;
    assert_int_equal(gather(&r, 2 * SECOND_US), 0); /* locked since now */
    assert_int_equal(gather(&r, 3 * SECOND_US), 2);
    assert_ptr_equal(r.order[0], &r.items[2]);
    assert_ptr_equal(r.order[1], &r.items[3]);
    counter_waits_free(r.waits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_quarter_of_a_second),
        cmocka_unit_test(one_product_at_a_time),
        cmocka_unit_test(forgotten_after_a_second),
        cmocka_unit_test(others_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
