/* Lanes and sources: who gets work, when, and from whom. Links and batches are stood in for. */
#include "base/time_units.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "release/engine.h"
#include "release/parts.h"
#include "release/pause.h"
#include "release/release.h"
#include "store/statements.h"
#include "unit.h"

#define LANES 3

struct pg_link {
    bool up, busy;
};

struct batch {
    struct item *items; /* NULL: it does not run */
    size_t n;
    bool bulk;
    event_cb *done;
    void *arg;
    bool may_not_wait;
};

static struct pg_link links[LANES];
static struct batch batches[LANES];
static size_t made;
static bool ready, paused;

bool pg_link_up(const struct pg_link *link)
{
    return link->up;
}

bool pg_link_busy(const struct pg_link *link)
{
    return link->busy;
}

bool statements_ready(const struct statements *s)
{
    (void)s;
    return ready;
}

bool pause_allows(const struct pause *p)
{
    (void)p;
    return !paused;
}

struct batch *parts_batch_new(struct parts *parts, struct pg_link *link)
{
    (void)parts;
    (void)link;
    return &batches[made++];
}

void batch_allow_no_wait(struct batch *b)
{
    b->may_not_wait = true;
}

void batch_free(struct batch *b)
{
    (void)b;
}

void batch_run(struct batch *b, struct item *items, size_t n, bool bulk, event_cb *done, void *arg)
{
    assert_null(b->items); /* one at a time */
    *b = (struct batch){items, n, bulk, done, arg, b->may_not_wait};
}

static void answer(struct batch *b)
{
    const struct batch was = *b;
    assert_non_null(was.items);
    *b = (struct batch){.items = NULL};
    was.done(was.arg);
}

/* A source with so many works left, of one item each. */
struct stock {
    struct source source;
    struct item items[8];
    int left, taken, done;
    bool asks;        /* something itself, over the first lane */
    struct work last; /* that was done */
};

static bool take(void *arg, struct work *work)
{
    struct stock *s = arg;
    if (s->asks && work->lane == 0)
        links[0].busy = true;
    if (s->left == 0)
        return false;
    s->left--;
    work->items = &s->items[s->taken++];
    work->n = 1;
    work->bulk = s->left > 0;
    return true;
}

static void done(void *arg, const struct work *work)
{
    struct stock *s = arg;
    s->done++;
    s->last = *work;
}

static struct parts parts;
static struct engine *engine;
static struct stock first, second;
static int changes;
static bool until_all_taken; /* the loop runs */

static void on_change(void *arg)
{
    assert_ptr_equal(arg, &changes);
    changes++;
    if (until_all_taken && first.taken == LANES)
        loop_stop(parts.loop);
}

static int set_up(void **state)
{
    struct pg_link *all[LANES];
    (void)state;
    made = 0;
    changes = 0;
    ready = true;
    paused = false;
    until_all_taken = false;
    for (int i = 0; i < LANES; i++) {
        links[i] = (struct pg_link){.up = true};
        batches[i] = (struct batch){.items = NULL};
        all[i] = &links[i];
    }
    parts = (struct parts){.loop = loop_new()};
    engine = engine_new(&parts, all, LANES, on_change, &changes);
    first = (struct stock){.source = {.take = take, .done = done, .arg = &first}};
    second = (struct stock){.source = {.take = take, .done = done, .arg = &second}};
    if (engine == NULL)
        return -1;
    engine_add(engine, &first.source);
    engine_add(engine, &second.source);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    engine_remove(engine, &first.source);
    engine_remove(engine, &second.source);
    engine_free(engine);
    loop_free(parts.loop);
    return 0;
}

static void test_nothing_to_do(void **state)
{
    (void)state;
    engine_poke(engine);
    assert_int_equal(changes, 1);
    assert_int_equal(engine_idle(engine), LANES);
    assert_int_equal(engine_usable(engine), LANES);
    for (int i = 0; i < LANES; i++)
        assert_null(batches[i].items);
}

/* The first source is asked first; the second has what that leaves. */
static void test_in_order(void **state)
{
    (void)state;
    first.left = second.left = 2;
    engine_poke(engine);
    assert_int_equal(first.taken, 2);
    assert_int_equal(second.taken, 1);
    assert_ptr_equal(batches[0].items, &first.items[0]);
    assert_true(batches[0].bulk);
    assert_false(batches[1].bulk);
    assert_ptr_equal(batches[2].items, &second.items[0]);
    assert_int_equal(engine_idle(engine), 0);
    assert_int_equal(engine_usable(engine), LANES);
}

/* Whose work it was is told, once, and the lane goes on at once. */
static void test_goes_on(void **state)
{
    (void)state;
    first.left = 3;
    second.left = 1;
    engine_poke(engine);
    assert_int_equal(changes, 1);
    answer(&batches[1]);
    assert_int_equal(changes, 2);
    assert_int_equal(first.done, 1);
    assert_int_equal(second.done, 0);
    assert_ptr_equal(first.last.items, &first.items[1]);
    assert_int_equal(first.last.lane, 1);
    assert_ptr_equal(batches[1].items, &second.items[0]);
    answer(&batches[1]);
    assert_int_equal(second.done, 1);
    assert_int_equal(first.done, 1);
    assert_null(batches[1].items);
    assert_int_equal(engine_idle(engine), 1);
}

/* A source that asks Postgres something itself has the lane until that is answered. */
static void test_a_question_of_its_own(void **state)
{
    (void)state;
    first.asks = true;
    second.left = LANES;
    engine_poke(engine);
    assert_null(batches[0].items);
    assert_int_equal(second.taken, LANES - 1);
    first.asks = links[0].busy = false;
    engine_poke(engine);
    assert_int_equal(second.taken, LANES);
}

/* Lanes that are down, busy with something else, or without statements take nothing. */
static void test_of_no_use(void **state)
{
    (void)state;
    first.left = 4;
    links[0].up = false;
    links[1].busy = true;
    assert_int_equal(engine_idle(engine), 1);
    assert_int_equal(engine_usable(engine), 2);
    engine_poke(engine);
    assert_null(batches[0].items);
    assert_null(batches[1].items);
    assert_non_null(batches[2].items);
    ready = false;
    links[0].up = true;
    links[1].busy = false;
    assert_int_equal(engine_usable(engine), 0);
    assert_int_equal(engine_idle(engine), 0);
    engine_poke(engine);
    assert_int_equal(first.taken, 1);
    ready = true;
    engine_poke(engine);
    assert_int_equal(first.taken, 3);
}

/* What is under way comes to its end; nothing more is begun. */
static void test_a_pause(void **state)
{
    (void)state;
    first.left = LANES + 2;
    engine_poke(engine);
    paused = true;
    assert_int_equal(engine_usable(engine), 0);
    answer(&batches[0]);
    assert_int_equal(first.done, 1);
    assert_int_equal(first.taken, LANES);
    paused = false;
    engine_poke(engine);
    assert_int_equal(first.taken, LANES + 1);
}

/* It takes nothing until its rest is over, and then by itself. */
static void test_rest(void **state)
{
    (void)state;
    engine_rest(engine, 1, 20 * MS_US);
    assert_false(engine_quiet(engine, 1));
    assert_true(engine_quiet(engine, 0));
    assert_int_equal(engine_usable(engine), LANES - 1);
    first.left = LANES;
    engine_poke(engine);
    assert_null(batches[1].items);
    assert_int_equal(first.taken, LANES - 1);
    assert_false(engine_quiet(engine, 0)); /* at work */
    until_all_taken = true;
    assert_int_equal(loop_run(parts.loop), 0);
    assert_int_equal(first.taken, LANES);
    assert_non_null(batches[1].items);
}

/* Those of all lanes, and only when that is said. */
static void test_need_not_wait(void **state)
{
    (void)state;
    for (int i = 0; i < LANES; i++)
        assert_false(batches[i].may_not_wait);
    engine_allow_no_wait(engine);
    for (int i = 0; i < LANES; i++)
        assert_true(batches[i].may_not_wait);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_to_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_question_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_of_no_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_pause, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_need_not_wait, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
