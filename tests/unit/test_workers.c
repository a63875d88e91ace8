/* When a worker reads the catalog, and what it does with the answer. Links, the engine and the
 * statements are stood in for. */
#include "base/clock.h"
#include "config/config.h"
#include "link/pg_link.h"
#include "release/engine.h"
#include "release/parts.h"
#include "store/pg_watch.h"
#include "store/statements.h"
#include "sweep/workers.h"
#include "unit.h"

#include <string.h>

#define LANES 2

struct pg_link {
    struct pg_link_options options;
    bool up, busy;
};

struct engine {
    event_cb *on_change;
    void *arg;
    bool at_work[LANES];
    int rests[LANES], pokes;
    bool may_not_wait;
};

static struct pg_link links[LANES];
static size_t made;
static struct engine engine;
static struct {
    int64_t due_us;
    bool fails; /* nothing can be sent */
    int doubts, loads, noted;
    const struct pg_link *link; /* that the last one was sent over */
    void (*done)(void *arg, const char *error);
    void *arg;
} catalog;
static int changes;
static struct workers *workers;

struct pg_link *pg_link_new(struct loop *loop, const struct pg_link_options *options)
{
    (void)loop;
    links[made] = (struct pg_link){.options = *options};
    return &links[made++];
}

void pg_link_free(struct pg_link *link)
{
    (void)link;
}

void pg_link_start(struct pg_link *link)
{
    (void)link;
}

void pg_link_follow(struct pg_link *link)
{
    (void)link;
}

bool pg_link_up(const struct pg_link *link)
{
    return link->up;
}

bool pg_link_busy(const struct pg_link *link)
{
    return link->busy;
}

uint64_t pg_link_reconnects(const struct pg_link *link)
{
    (void)link;
    return 0;
}

const char *pg_link_last_error(const struct pg_link *link)
{
    (void)link;
    return "";
}

void pg_watch_link(struct pg_watch *w, int link, bool up, const char *reason)
{
    (void)w;
    (void)link;
    (void)up;
    (void)reason;
}

struct engine *engine_new(struct parts *parts, struct pg_link *const *all, int n,
                          event_cb *on_change, void *arg)
{
    (void)parts;
    (void)all;
    assert_int_equal(n, LANES);
    engine = (struct engine){.on_change = on_change, .arg = arg};
    return &engine;
}

void engine_allow_no_wait(struct engine *e)
{
    e->may_not_wait = true;
}

void engine_free(struct engine *e)
{
    (void)e;
}

void engine_poke(struct engine *e)
{
    e->pokes++;
}

void engine_rest(struct engine *e, int lane, int64_t us)
{
    assert_int_equal(us, WORKERS_FAULT_REST_US);
    e->rests[lane]++;
}

bool engine_quiet(const struct engine *e, int lane)
{
    return !e->at_work[lane];
}

int64_t statements_due_us(const struct statements *s)
{
    (void)s;
    return catalog.due_us;
}

void statements_doubt(struct statements *s)
{
    (void)s;
    catalog.doubts++;
    catalog.due_us = 0;
}

int statements_load(struct statements *s, struct pg_link *link, struct server_clock *clock,
                    void (*done)(void *arg, const char *error), void *arg)
{
    (void)s;
    (void)clock;
    if (catalog.fails)
        return -1;
    catalog.loads++;
    catalog.link = link;
    catalog.done = done;
    catalog.arg = arg;
    catalog.due_us = INT64_MAX;
    return 0;
}

void parts_note_catalog(struct parts *parts)
{
    (void)parts;
    catalog.noted++;
}

static void on_change(void *arg)
{
    assert_ptr_equal(arg, &changes);
    changes++;
}

static int set_up(void **state)
{
    static struct config config;
    static struct parts parts;
    (void)state;
    config = (struct config){.workers = LANES};
    parts = (struct parts){.config = &config};
    made = 0;
    changes = 0;
    memset(&catalog, 0, sizeof(catalog));
    workers = workers_new(&parts, on_change, &changes);
    catalog.due_us = INT64_MAX;
    return workers != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    workers_free(workers);
    return 0;
}

static void come_up(int lane)
{
    links[lane].up = true;
    links[lane].options.on_state(links[lane].options.arg, true, "");
}

/* A rest is over, say. */
static void change(void)
{
    engine.on_change(engine.arg);
}

static void test_a_new_connection_doubts_the_catalog(void **state)
{
    (void)state;
    come_up(1);
    assert_int_equal(catalog.doubts, 1);
    assert_int_equal(catalog.loads, 1);
    assert_ptr_equal(catalog.link, &links[1]);
    assert_int_equal(engine.pokes, 1);
    links[1].up = false;
    links[1].options.on_state(links[1].options.arg, false, "gone");
    assert_int_equal(catalog.doubts, 1);
    assert_int_equal(engine.pokes, 2);
}

/* By one that is up, not busy and not at work, when it is due. A try in vain would be a rest. */
static void test_who_reads_it(void **state)
{
    static const struct {
        bool up, busy, at_work, due;
        int loads;
    } rows[] = {
        {true, false, false, true, 1},  {false, false, false, true, 0},
        {true, true, false, true, 0},   {true, false, true, true, 0},
        {true, false, false, false, 0}, {false, true, true, true, 0},
        {false, false, true, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        links[0].up = rows[i].up;
        links[0].busy = rows[i].busy;
        engine.at_work[0] = rows[i].at_work;
        catalog.due_us = rows[i].due ? clock_mono_us() : INT64_MAX;
        catalog.loads = 0;
        change();
        assert_int_equal(catalog.loads, rows[i].loads);
        assert_int_equal(engine.rests[0], 0);
        assert_int_equal(changes, i + 1);
    }
}

static void test_one_reads_it_for_all(void **state)
{
    (void)state;
    come_up(0);
    come_up(1);
    catalog.loads = 0;
    catalog.due_us = 0;
    change();
    assert_int_equal(catalog.loads, 1);
    assert_ptr_equal(catalog.link, &links[0]);
}

static void test_an_error_rests_the_lane(void **state)
{
    (void)state;
    come_up(0);
    catalog.done(catalog.arg, NULL);
    assert_int_equal(catalog.noted, 1);
    assert_int_equal(engine.rests[0], 0);
    assert_int_equal(engine.pokes, 2);
    catalog.due_us = 0;
    change();
    catalog.done(catalog.arg, "table x is missing");
    assert_int_equal(catalog.noted, 2);
    assert_int_equal(engine.rests[0], 1);
    assert_int_equal(engine.pokes, 3);
}

/* A connection that was lost says nothing of the database. */
static void test_lost_while_it_is_read(void **state)
{
    (void)state;
    come_up(0);
    links[0].up = false;
    catalog.done(catalog.arg, "the connection was lost");
    assert_int_equal(catalog.noted, 0);
    assert_int_equal(engine.rests[0], 0);
}

static void test_nothing_can_be_sent(void **state)
{
    (void)state;
    catalog.fails = true;
    come_up(1);
    assert_int_equal(engine.rests[1], 1);
    assert_int_equal(engine.rests[0], 0);
}

static void test_releases_need_not_wait(void **state)
{
    (void)state;
    assert_true(engine.may_not_wait);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_new_connection_doubts_the_catalog),
        TEST(test_who_reads_it),
        TEST(test_one_reads_it_for_all),
        TEST(test_an_error_rests_the_lane),
        TEST(test_lost_while_it_is_read),
        TEST(test_nothing_can_be_sent),
        TEST(test_releases_need_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
