/* A pass: which lanes get its slices, what it counts, when it fails and how it ends. Pages, the
 * engine and Redis are stood in for. */
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "link/loop.h"
#include "release/account.h"
#include "release/drop.h"
#include "release/engine.h"
#include "release/keeps.h"
#include "release/pages.h"
#include "release/parts.h"
#include "release/pass.h"
#include "release/pause.h"
#include "release/refusal_log.h"
#include "release/release.h"
#include "store/statements.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 2
#define ROWS_MAX 11

#define WORKS_MAX 2

struct engine {
    struct source *source;
    int usable, n; /* lanes; those at work */
    struct work works[WORKS_MAX];
    bool busy[WORKS_MAX];
};

static struct engine own, lent;
static struct {
    size_t n, asked, last; /* `last`: how many pages there are */
    const char *error;
    bool unreachable; /* nothing can be sent */
    bool want_places;
    int first; /* the rows of the first page */
    const char *ids[ROWS_MAX];
    uint64_t places[ROWS_MAX];
    void (*done)(void *arg, const struct page *page);
    void *arg;
} pages;
static struct {
    void (*done)(void *arg, const char *error);
    void *args[ROWS_MAX];
    int asked, open;
    bool slow; /* the test answers */
} drops;
static bool paused;
static bool ready, degraded, reader_up, by_place;
static struct mapping_types types;
static struct loop *loop;
static struct timer *limit;
static const struct queue queue;
static struct config config;
static struct parts parts;
static struct pass *pass;
static bool over;
static struct pass_result result;
static char error[128];

/* ---- what is stood in for ---- */

static bool reading(void)
{
    return pages.done != NULL;
}

void item_clear(struct item *item)
{
    assert_null(item->copy);
}

bool pg_link_up(const struct pg_link *link)
{
    (void)link;
    return reader_up;
}

bool statements_ready(const struct statements *s)
{
    (void)s;
    return ready;
}

const struct mapping_types *statements_types(const struct statements *s)
{
    (void)s;
    assert_true(ready);
    return &types;
}

bool mapping_allows_backlog(const struct mapping_types *t)
{
    assert_ptr_equal(t, &types);
    return by_place;
}

bool parts_degraded(const struct parts *p)
{
    (void)p;
    return degraded;
}

bool pause_allows(const struct pause *p)
{
    (void)p;
    return !paused;
}

const char *pause_reason(const struct pause *p)
{
    (void)p;
    return "paused until tomorrow";
}

void account_decided(struct parts *p, struct item *items, size_t n, int64_t now_us)
{
    (void)p;
    (void)items;
    (void)n;
    (void)now_us;
}

void refusal_log_deferred(struct refusal_log *l, const struct item *item)
{
    (void)l;
    (void)item;
}

bool drop_inactive(struct parts *p, const struct item *items, size_t n,
                   void (*done)(void *arg, const char *error), void *arg)
{
    (void)p;
    (void)items;
    (void)n;
    if (degraded)
        return false;
    drops.asked++;
    drops.done = done;
    drops.args[drops.open++] = arg;
    return true;
}

struct engine *engine_new(struct parts *p, struct pg_link *const *links, int n, event_cb *on_change,
                          void *arg)
{
    (void)p;
    (void)links;
    (void)n;
    (void)on_change;
    (void)arg;
    return &own;
}

void engine_free(struct engine *e)
{
    (void)e;
}

void engine_add(struct engine *e, struct source *source)
{
    e->source = source;
}

void engine_remove(struct engine *e, struct source *source)
{
    assert_ptr_equal(e->source, source);
    e->source = NULL;
}

void engine_poke(struct engine *e)
{
    for (int lane = 0; lane < e->usable; lane++) {
        struct work work = {.items = NULL, .lane = lane};
        if (e->busy[lane] || (lane == 0 && e == &own && reading()))
            continue;
        e->busy[lane] = e->source->take(e->source->arg, &work);
        if (e->busy[lane])
            e->works[e->n++] = work;
    }
}

int engine_usable(const struct engine *e)
{
    return e->usable;
}

struct pages *pages_new(struct parts *p, struct pg_link *link)
{
    (void)p;
    (void)link;
    return (struct pages *)&pages;
}

void pages_free(struct pages *p)
{
    (void)p;
}

void pages_begin(struct pages *p, int64_t from_us, int64_t ahead_us, int size, int size_max)
{
    (void)p;
    (void)from_us;
    (void)ahead_us;
    (void)size_max;
    pages.first = size;
    pages.asked = 0;
    pages.want_places = false;
}

void pages_want_places(struct pages *p)
{
    (void)p;
    pages.want_places = true;
}

int pages_next(struct pages *p, void (*done)(void *arg, const struct page *page), void *arg)
{
    (void)p;
    assert_false(reading());
    if (pages.unreachable)
        return -1;
    pages.asked++;
    pages.done = done;
    pages.arg = arg;
    return 0;
}

const char *pages_id(const struct pages *p, size_t i)
{
    (void)p;
    return pages.ids[i];
}

int64_t pages_expires_us(const struct pages *p, size_t i)
{
    (void)p;
    return 100 + (int64_t)i;
}

uint64_t pages_place(const struct pages *p, size_t i)
{
    (void)p;
    return pages.places[i];
}

/* ---- how the tests go ---- */

static void stop(void *arg)
{
    (void)arg;
    loop_stop(loop);
}

/* Whatever the pass has put off to a later turn. */
static void turns(void)
{
    timer_after_us(limit, 2 * MS_US);
    assert_int_equal(loop_run(loop), 0);
}

static void on_done(void *arg, const struct pass_result *r)
{
    (void)arg;
    assert_false(over);
    over = true;
    result = *r;
    snprintf(error, sizeof(error), "%s", r->error);
}

static void make_pass(struct engine *shared)
{
    static struct pg_link *link;
    const struct pass_options options = {
        .parts = &parts, .links = &link, .nlinks = 1, .shared = shared, .lent = &lent};
    pass_free(pass);
    pass = pass_new(&options);
    assert_non_null(pass);
}

static int set_up(void **state)
{
    static const char *const ids[] = {"a", "b", "c", "d"};
    (void)state;
    memset(&pages, 0, sizeof(pages));
    memset(&drops, 0, sizeof(drops));
    memcpy(pages.ids, ids, sizeof(ids));
    pages.n = ARRAY_LEN(ids);
    pages.last = 1;
    own = (struct engine){.usable = 1};
    lent = (struct engine){.usable = 2};
    ready = true;
    degraded = over = by_place = paused = false;
    reader_up = true;
    loop = loop_new();
    limit = timer_new(loop, stop, NULL);
    config = (struct config){.batch_size = BATCH, .workers = 1, .queue = &queue};
    parts = (struct parts){.loop = loop, .config = &config, .keeps = keeps_new(&queue.keep)};
    pass = NULL;
    make_pass(NULL);
    return pass != NULL && limit != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pass_free(pass);
    keeps_free(parts.keeps);
    timer_free(limit);
    loop_free(loop);
    return lent.source == NULL ? 0 : -1;
}

static void begin(void)
{
    over = false;
    pass_run(pass, 0, on_done, NULL);
    turns();
    assert_int_equal(pages.asked, 1);
}

static void give_page(void)
{
    const struct page page = {
        .n = pages.n, .last = pages.asked == pages.last, .error = pages.error};
    void (*done)(void *arg, const struct page *page) = pages.done;
    pages.done = NULL;
    done(pages.arg, &page);
    turns();
}

/* The lane that was first at work has decided its slice. */
static void release(struct engine *e, enum outcome outcome)
{
    assert_true(e->n > 0);
    const struct work work = e->works[0];
    assert_true(work.n > 0);
    for (size_t i = 0; i < work.n; i++)
        work.items[i].outcome = outcome;
    memmove(e->works, e->works + 1, sizeof(e->works) - sizeof(work));
    e->n--;
    e->busy[work.lane] = false;
    e->source->done(e->source->arg, &work);
    engine_poke(e);
    while (!drops.slow && drops.open > 0)
        drops.done(drops.args[--drops.open], NULL);
    turns();
}

/* ---- the tests ---- */

static void test_freed_it_gives_no_more_work(void **state)
{
    (void)state;
    assert_non_null(lent.source);
    pass_free(pass);
    pass = NULL;
    assert_null(lent.source);
}

static void test_what_is_counted(void **state)
{
    (void)state;
    begin();
    give_page();
    release(&own, OUTCOME_RELEASED);
    release(&own, OUTCOME_LOCKED);
    assert_true(over && result.ok);
    assert_int_equal(result.released, 2);
    assert_int_equal(result.locked, 2);
    assert_int_equal(parts.stats.rescheduled[RESCHEDULE_LOCKED], 2);
    assert_int_equal(result.failed + result.deferred + result.not_yet, 0);
    assert_int_equal(drops.asked, 2);
    begin();
    give_page();
    release(&own, OUTCOME_FAILED);
    release(&own, OUTCOME_DEFERRED);
    assert_int_equal(result.released, 0); /* of this pass alone */
    assert_int_equal(result.failed, 2);
    assert_int_equal(result.deferred, 2);
    begin();
    give_page(); /* a and b wait for their back-off */
    release(&own, OUTCOME_INACTIVE);
    assert_int_equal(result.not_yet, 2);
    assert_true(over && result.ok);
}

/* Rows of one id stand side by side. */
static void test_an_id_counts_once(void **state)
{
    (void)state;
    pages.ids[1] = "a";
    pages.ids[2] = "b";
    pages.ids[3] = "b";
    begin();
    give_page();
    release(&own, OUTCOME_RELEASED);
    assert_true(over);
    assert_int_equal(result.released, 2);
}

/* The next one is read while the last of the one before are released. */
static void test_page_by_page(void **state)
{
    (void)state;
    own.usable = 2;
    pages.last = 2;
    begin();
    give_page();
    assert_int_equal(own.n, 2);
    release(&own, OUTCOME_RELEASED);
    assert_int_equal(pages.asked, 2);
    assert_int_equal(own.n, 1);
    release(&own, OUTCOME_RELEASED); /* the answer comes after that */
    assert_false(over);
    pages.n = 2;
    give_page();
    release(&own, OUTCOME_RELEASED);
    assert_true(over && result.ok);
    assert_int_equal(result.released, 6);
}

/* One lane reads when nothing is left for it to release; and no page is read ahead of those that
 * nobody has taken. */
static void test_no_page_too_many(void **state)
{
    (void)state;
    pages.last = 9;
    begin();
    give_page();
    assert_int_equal(pages.asked, 1);
    release(&own, OUTCOME_RELEASED);
    assert_int_equal(pages.asked, 1);
    release(&own, OUTCOME_RELEASED);
    assert_int_equal(pages.asked, 2);
    degraded = true;
    give_page();
    assert_int_equal(lent.n, 2);
    assert_int_equal(pages.asked, 3); /* over the pass's own lane */
    give_page();
    assert_int_equal(pages.asked, 4);
    give_page(); /* eight wait, for two lanes of two */
    assert_int_equal(pages.asked, 4);
    pass_stop(pass);
    release(&lent, OUTCOME_RELEASED);
    release(&lent, OUTCOME_RELEASED);
    assert_true(over);
}

/* What Redis has not answered to keeps its page, and there are three at most. */
static void test_redis_is_slow(void **state)
{
    (void)state;
    pages.n = 2;
    pages.last = 9;
    begin();
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(pages.asked, i);
        give_page();
        drops.slow = true;
        release(&own, OUTCOME_RELEASED);
    }
    assert_int_equal(pages.asked, 3);
    drops.done(drops.args[1], NULL);
    turns();
    assert_int_equal(pages.asked, 4);
    pass_stop(pass);
    pages.n = 0;
    give_page();
    drops.done(drops.args[0], NULL);
    turns();
    assert_false(over);
    drops.done(drops.args[2], NULL);
    turns();
    assert_true(over);
}

/* By where they lie in the table; an id's rows together, whenever they expire. */
static void test_in_the_order_of_the_table(void **state)
{
    static const char *const ids[] = {"d", "b", "a", "b"};
    static const uint64_t places[] = {70, 90, 30, 20};
    (void)state;
    memcpy(pages.ids, ids, sizeof(ids));
    memcpy(pages.places, places, sizeof(places));
    begin();
    give_page();
    const struct work *work = &own.works[0]; /* and what follows it */
    assert_string_equal(work->items[0].id, "a");
    assert_string_equal(work->items[1].id, "d");
    assert_int_equal(work->items[0].places[0], 30);
    assert_int_equal(work->items[0].n_places, 1);
    assert_string_equal(work->items[2].id, "b");
    assert_int_equal(work->items[2].n_places, 2);
    assert_int_equal(work->items[2].places[0], 90);
    assert_int_equal(work->items[2].places[1], 20);
    assert_int_equal(work->items[2].expires_us, 103);
    release(&own, OUTCOME_RELEASED);
    release(&own, OUTCOME_RELEASED);
    assert_true(over);
    assert_int_equal(result.released, 3);
}

/* Where others lend theirs, the pass's own lane takes nothing: and theirs only in direct mode. */
static void test_whose_lanes(void **state)
{
    (void)state;
    begin();
    give_page();
    assert_int_equal(own.n, 1);
    assert_int_equal(lent.n, 0);
    degraded = true;
    release(&own, OUTCOME_RELEASED);
    assert_int_equal(own.n, 0);
    release(&lent, OUTCOME_RELEASED);
    assert_true(over && result.ok);
    begin();
    give_page();
    assert_int_equal(lent.n, 2);
    release(&lent, OUTCOME_RELEASED);
    release(&lent, OUTCOME_RELEASED);
    assert_true(over && result.ok);
    lent.usable = 0; /* they are gone */
    begin();
    give_page();
    release(&own, OUTCOME_RELEASED);
    release(&own, OUTCOME_RELEASED);
    assert_true(over && result.ok);
}

static void test_a_lost_connection(void **state)
{
    int64_t since_us;
    (void)state;
    begin();
    give_page();
    release(&own, OUTCOME_UNKNOWN);
    assert_true(over && !result.ok && result.lost);
    assert_int_equal(own.n, 0);
    assert_string_equal(error, "the connection to Postgres was lost");
    assert_string_equal(pass_oldest(pass, &since_us), "a");
    assert_int_equal(since_us, 100);
    /* Of several lanes the others go on to the end. */
    degraded = true;
    lent.usable = 1;
    begin();
    give_page();
    release(&lent, OUTCOME_UNKNOWN);
    assert_false(over);
    release(&lent, OUTCOME_RELEASED);
    assert_true(over && !result.ok && result.lost);
    assert_int_equal(result.released, 2);
    /* The next pass begins anew. */
    begin();
    give_page();
    release(&lent, OUTCOME_RELEASED);
    release(&lent, OUTCOME_RELEASED);
    assert_true(over && result.ok && !result.lost);
    assert_null(pass_oldest(pass, &since_us));
}

static void test_a_fault_ends_it(void **state)
{
    (void)state;
    begin();
    give_page();
    release(&own, OUTCOME_FAULT);
    assert_true(over && !result.ok && !result.lost);
    assert_string_equal(error, "Postgres cannot release at present");
    begin();
    pages.error = "no page";
    pages.n = 0;
    give_page();
    assert_true(over && !result.ok);
    assert_string_equal(error, "no page");
}

/* By their places more of them are released at once where speed is asked for; a hundred thousand
 * nowhere. */
static void test_how_many_at_once(void **state)
{
    static const struct {
        int workers, batch;
        bool by_place;
        size_t n;
    } cases[] = {{1, 1, true, 4},
                 {1, 1, false, 1},
                 {2, 1, false, 1},
                 {2, 1, true, 10},
                 {2, 1000, true, ROWS_MAX}};
    static const char *const ids[ROWS_MAX] = {"a", "b", "c", "d", "e", "f",
                                              "g", "h", "i", "j", "k"};
    (void)state;
    memcpy(pages.ids, ids, sizeof(ids));
    pages.n = ROWS_MAX;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        config.workers = cases[i].workers;
        config.batch_size = cases[i].batch;
        by_place = cases[i].by_place;
        begin();
        assert_int_equal(pages.want_places, by_place);
        assert_int_equal(pages.first,
                         by_place && config.workers == 1 ? PAGES_SIZE_MAX : PAGES_SIZE);
        give_page();
        assert_int_equal(own.works[0].n, cases[i].n);
        assert_true(own.works[0].bulk || cases[i].n == ROWS_MAX);
        pass_stop(pass);
        release(&own, OUTCOME_RELEASED);
        assert_true(over);
    }
}

/* Its lanes are those of others, who use them too. */
static void test_shared_lanes(void **state)
{
    (void)state;
    make_pass(&own);
    own.usable = 2;
    pages.last = 2;
    own.busy[0] = true; /* with what was claimed before */
    pass_run(pass, 0, on_done, NULL);
    turns();
    assert_false(over);
    assert_int_equal(pages.asked, 0);
    own.busy[0] = false;
    engine_poke(&own);
    assert_int_equal(pages.asked, 1);
    give_page();
    release(&own, OUTCOME_UNKNOWN); /* its connection was lost: the others go on */
    release(&own, OUTCOME_RELEASED);
    assert_false(over);
    pages.n = 0;
    give_page();
    assert_true(over && !result.ok && result.lost);
    /* The one that reads is gone. */
    reader_up = false;
    own.busy[0] = true;
    pass_run(pass, 0, on_done, NULL);
    over = false;
    turns();
    assert_true(over && !result.ok && result.lost);
    own.busy[0] = false;
}

/* What is under way is brought to its end, and counts; nothing more is begun. */
static void test_a_pause_ends_it(void **state)
{
    (void)state;
    begin();
    give_page();
    paused = true;
    release(&own, OUTCOME_RELEASED);
    assert_true(over && !result.ok && result.paused && !result.lost);
    assert_int_equal(result.released, BATCH);
    assert_string_equal(error, "paused until tomorrow");
    /* One that has begun already: it reads no page. */
    over = false;
    pass_run(pass, 0, on_done, NULL);
    turns();
    assert_true(over && result.paused);
    assert_int_equal(pages.asked, 0);
    /* A fault that came before is told of. */
    paused = false;
    begin();
    give_page();
    release(&own, OUTCOME_FAULT);
    assert_true(over && !result.paused);
}

/* What a pause has left is not taken by its places. */
static void test_carefully_after_a_pause(void **state)
{
    (void)state;
    by_place = true;
    parts.careful = true;
    begin();
    assert_false(pages.want_places);
    assert_int_equal(pages.first, PAGES_SIZE);
}

static void test_the_next_page_cannot_be_asked_for(void **state)
{
    (void)state;
    pages.last = 2;
    begin();
    give_page();
    release(&own, OUTCOME_RELEASED);
    pages.unreachable = true;
    release(&own, OUTCOME_RELEASED);
    assert_true(over && !result.ok);
    assert_string_equal(error, "the connection to Postgres was lost");
    assert_int_equal(result.released, 4);
}

/* Its lanes took nothing. */
static void test_nobody_can_release(void **state)
{
    (void)state;
    begin();
    own.usable = 0;
    give_page();
    assert_true(over && !result.ok && result.lost);
    own.usable = 1;
    begin();
    own.usable = 0;
    ready = false;
    give_page();
    assert_true(over && !result.ok && !result.lost);
    assert_string_equal(error, "the statements have to be made anew");
}

static void test_stopped(void **state)
{
    (void)state;
    begin();
    give_page();
    pass_stop(pass);
    assert_false(over);
    release(&own, OUTCOME_RELEASED);
    assert_true(over && result.ok);
    assert_int_equal(result.released, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_freed_it_gives_no_more_work),
        TEST(test_what_is_counted),
        TEST(test_an_id_counts_once),
        TEST(test_page_by_page),
        TEST(test_no_page_too_many),
        TEST(test_redis_is_slow),
        TEST(test_in_the_order_of_the_table),
        TEST(test_whose_lanes),
        TEST(test_a_lost_connection),
        TEST(test_a_fault_ends_it),
        TEST(test_a_pause_ends_it),
        TEST(test_carefully_after_a_pause),
        TEST(test_the_next_page_cannot_be_asked_for),
        TEST(test_how_many_at_once),
        TEST(test_shared_lanes),
        TEST(test_nobody_can_release),
        TEST(test_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
