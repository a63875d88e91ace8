/* What each answer means for a plan, step by step: the limits that a random batch does not show
 * (test_plan.c). */
#include "base/log.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "release/breakers.h"
#include "release/counter_waits.h"
#include "release/locked.h"
#include "release/plan.h"
#include "release/refusal_log.h"
#include "shop_queue.h"
#include "unit.h"

#include <argz.h>
#include <stdio.h>
#include <string.h>

#define MOST 300
#define LOCK_US (20 * MS_US)
#define SEARCH_US (2 * MS_US)
#define BULK_US (3 * MS_US)

static struct loop *loop;
static struct refusal_log *names;
static struct breakers *breakers;
static struct counter_waits *waits;
static struct locked *locked;
static struct plan *plan;
static struct plan_table table;
static struct plan_step step;
static struct item items[MOST];
static size_t n_items;
static int64_t now_us;

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    names = loop != NULL ? refusal_log_new(loop) : NULL;
    breakers = breakers_new(&shop_queue, names);
    waits = counter_waits_new();
    locked = locked_new();
    const struct plan_options options = {.counter_waits = waits,
                                         .breakers = breakers,
                                         .locked = locked,
                                         .lock_timeout_us = LOCK_US,
                                         .bulk_lock_timeout_us = BULK_US};
    plan = plan_new(&options);
    table = (struct plan_table){.ready = true, .generation = 1, .id_kind = ID_TEXT, .bulk = true};
    now_us = 1000 * SECOND_US;
    return names != NULL && plan != NULL && waits != NULL && locked != NULL ? 0 : -1;
}

static void clear(void)
{
    for (size_t i = 0; i < n_items; i++)
        item_clear(&items[i]);
    n_items = 0;
}

static int tear_down(void **state)
{
    (void)state;
    clear();
    plan_free(plan);
    locked_free(locked);
    counter_waits_free(waits);
    breakers_free(breakers);
    refusal_log_free(names);
    loop_free(loop);
    return 0;
}

/* n items with the ids 0, 1, ... */
static void make(size_t n)
{
    char id[8];
    clear();
    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "%u", (unsigned)i);
        assert_int_equal(item_init(&items[i], id, strlen(id)), 0);
    }
    n_items = n;
}

static void begin(bool backlog)
{
    assert_int_equal(plan_begin(plan, items, n_items, backlog, &table, now_us), 0);
}

static void run(size_t n, bool backlog)
{
    make(n);
    begin(backlog);
}

static void next(enum plan_action action)
{
    plan_next(plan, &table, now_us, &step);
    assert_int_equal(step.action, action);
}

/* The next step releases n items, the first one of which is that. */
static void sends(enum release_way way, size_t first, size_t n, int64_t lock_timeout_us)
{
    next(PLAN_RELEASE);
    assert_int_equal(step.way, way);
    assert_int_equal(step.n, n);
    assert_true(step.items[0] == &items[first]);
    assert_int_equal(step.lock_timeout_us, lock_timeout_us);
}

static bool say(enum release_fault fault, const char *sqlstate)
{
    const struct release_result result = {
        .fault = fault, .sqlstate = sqlstate, .message = "no", .table = "inventory"};
    return plan_answer(plan, &result, &table, now_us);
}

static void fails(enum release_fault fault, const char *sqlstate)
{
    assert_false(say(fault, sqlstate));
}

/* All of the step's items are released, but those of which what says "-": nothing, "L": locked. */
static void releases(const char *what)
{
    for (size_t i = 0; i < step.n; i++) {
        char c = i < strlen(what) ? what[i] : 'R';
        step.items[i]->outcome = c == 'R'   ? OUTCOME_RELEASED
                                 : c == 'L' ? OUTCOME_LOCKED
                                            : OUTCOME_NONE;
    }
    fails(RELEASE_OK, "");
}

/* It is over; the outcomes, a letter each: Released, Failed, Locked, fault (X), Unknown, uNtried,
 * Invalid, Deferred. */
static void ends(const char *outcomes)
{
    static const char letters[] = {
        [OUTCOME_RELEASED] = 'R', [OUTCOME_FAILED] = 'F',   [OUTCOME_LOCKED] = 'L',
        [OUTCOME_FAULT] = 'X',    [OUTCOME_UNKNOWN] = 'U',  [OUTCOME_UNTRIED] = 'N',
        [OUTCOME_INVALID] = 'I',  [OUTCOME_DEFERRED] = 'D',
    };
    char got[MOST + 1] = "";
    plan_next(plan, &table, now_us, &step);
    if (step.action == PLAN_PRODUCTS) { /* nobody knows */
        plan_products(plan, now_us);
        plan_next(plan, &table, now_us, &step);
    }
    assert_int_equal(step.action, PLAN_DONE);
    for (size_t i = 0; i < n_items; i++)
        got[i] = letters[items[i].outcome];
    if (outcomes != NULL)
        assert_string_equal(got, outcomes);
    next(PLAN_DONE);
}

static void none_at_all(void **state)
{
    (void)state;
    run(0, true);
    ends("");
    assert_null(plan_fault(plan));
}

static void a_backlog_goes_in_bulk(void **state)
{
    (void)state;
    run(3, true);
    sends(RELEASE_BULK, 0, 3, BULK_US);
    releases("R-R");
    sends(RELEASE_CAREFUL, 1, 1, LOCK_US);
    releases("");
    ends("RRR");
    run(1, true); /* nothing is gained */
    sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
    releases("");
    ends("R");
    table.bulk = false;
    run(3, true);
    sends(RELEASE_CAREFUL, 0, 3, LOCK_US);
    releases("");
    ends("RRR");
}

static void careful_is_a_hundred_at_a_time(void **state)
{
    (void)state;
    run(100, false);
    sends(RELEASE_CAREFUL, 0, 100, LOCK_US);
    releases("");
    ends(NULL);
    run(101, false);
    sends(RELEASE_BULK, 0, 101, BULK_US);
    releases("");
    ends(NULL);
    table.bulk = false;
    run(250, false);
    sends(RELEASE_CAREFUL, 0, 100, LOCK_US);
    releases("");
    sends(RELEASE_CAREFUL, 100, 100, LOCK_US);
    releases("");
    sends(RELEASE_CAREFUL, 200, 50, LOCK_US);
    releases("");
    ends(NULL);
}

static void what_fails_in_bulk_is_tried_with_care(void **state)
{
    static const struct {
        enum release_fault fault;
        const char *sqlstate;
    } rows[] = {{RELEASE_ROW, "22012"}, {RELEASE_EITHER, "42501"}};
    (void)state;
    for (size_t i = 0; i < 6; i++) { /* and that never leads to a rest */
        run(3, true);
        sends(RELEASE_BULK, 0, 3, BULK_US);
        fails(rows[i % 2].fault, rows[i % 2].sqlstate);
        sends(RELEASE_CAREFUL, 0, 3, LOCK_US);
        releases("");
        ends("RRR");
    }
}

static void bulk_in_vain(enum release_fault fault)
{
    run(3, true);
    sends(RELEASE_BULK, 0, 3, BULK_US);
    fails(fault, "55P03");
    sends(RELEASE_CAREFUL, 0, 3, LOCK_US);
    releases("");
    ends("RRR");
}

static void bulk_rests(int64_t rest_us)
{
    now_us += rest_us - 1;
    run(3, true);
    sends(RELEASE_CAREFUL, 0, 3, LOCK_US);
    releases("");
    ends("RRR");
    now_us++;
}

static void after_two_in_vain_bulk_rests(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        bulk_in_vain(RELEASE_RETRY);
        for (int64_t rest_us = 250 * MS_US; rest_us <= 4 * SECOND_US; rest_us *= 2) {
            bulk_in_vain(RELEASE_SLOW);
            bulk_rests(rest_us);
        }
        bulk_in_vain(RELEASE_RETRY);
        bulk_rests(4 * SECOND_US); /* at most */
        run(3, true);
        sends(RELEASE_BULK, 0, 3, BULK_US);
        releases(""); /* not in vain */
        ends("RRR");
    }
}

static void a_refused_one_stands_alone(void **state)
{
    (void)state;
    run(5, false);
    sends(RELEASE_CAREFUL, 0, 5, LOCK_US);
    fails(RELEASE_ROW, "23514");
    next(PLAN_PRODUCTS);
    assert_int_equal(step.n, 5);
    plan_products(plan, now_us);
    sends(RELEASE_CAREFUL, 0, 2, LOCK_US);
    releases("");
    sends(RELEASE_CAREFUL, 2, 3, LOCK_US);
    fails(RELEASE_SLOW, "57014");
    sends(RELEASE_CAREFUL, 2, 1, LOCK_US);
    releases("");
    sends(RELEASE_CAREFUL, 3, 2, LOCK_US);
    fails(RELEASE_ROW, "23514");
    sends(RELEASE_CAREFUL, 3, 1, LOCK_US);
    fails(RELEASE_ROW, "23514");
    sends(RELEASE_CAREFUL, 4, 1, LOCK_US);
    releases("");
    ends("RRRFR");
    assert_string_equal(items[3].sqlstate, "23514");
    assert_string_equal(items[3].error, "no");
    assert_null(plan_fault(plan));
}

/* One of product A alone, which is refused; known: its breaker has seen others. */
static void refuse_one_of_a(uint32_t attempts, bool known)
{
    make(1);
    items[0].attempts = attempts;
    begin(false);
    for (int i = 0; i < 2; i++) {
        if (known == (i == 0)) {
            next(PLAN_PRODUCTS);
            assert_int_equal(argz_add(&items[0].products, &items[0].products_len, "A"), 0);
            plan_products(plan, now_us);
        } else {
            sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
            fails(RELEASE_ROW, "23514");
        }
    }
    if (known)
        assert_int_equal(items[0].outcome, OUTCOME_FAILED);
    ends("F");
}

static void ten_refusals_open_a_breaker(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) /* they say nothing new */
        refuse_one_of_a(1, false);
    for (int i = 0; i < 10; i++)
        refuse_one_of_a(0, i > 0);
    make(2);
    begin(false);
    next(PLAN_PRODUCTS);
    assert_int_equal(argz_add(&items[0].products, &items[0].products_len, "A"), 0);
    plan_products(plan, now_us);
    sends(RELEASE_CAREFUL, 1, 1, LOCK_US);
    releases("");
    ends("DR");
    now_us += SECOND_US;
    make(3); /* of which the first that comes is the trial */
    begin(true);
    next(PLAN_PRODUCTS);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(argz_add(&items[i].products, &items[i].products_len, i == 1 ? "B" : "A"),
                         0);
    plan_products(plan, now_us);
    sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
    releases("");
    sends(RELEASE_BULK, 1, 2, BULK_US); /* it is closed */
    releases("");
    ends("RRR");
}

static void a_release_between_counts(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 9; i++)
            refuse_one_of_a(0, i > 0);
        make(1);
        begin(false);
        next(PLAN_PRODUCTS);
        assert_int_equal(argz_add(&items[0].products, &items[0].products_len, "A"), 0);
        plan_products(plan, now_us);
        sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
        releases("");
        ends("R");
    }
}

static void texts_without_a_form(void **state)
{
    static const struct {
        const char *id;
        bool from_postgres, ready, bytes, wanted;
    } rows[] = {
        {"a", false, true, false, true},
        {"a", false, true, true, false},
        {"\xc3\xa4", false, true, false, false},
        {"\xc3\xa4", true, true, false, true},
        {"\xc3\xa4", true, true, true, false},
        {"a", true, false, false, false},
        {"\xc2\x80"
         "b",
         false, true, false, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        clear();
        assert_int_equal(item_init(&items[0], rows[i].id, strlen(rows[i].id)), 0);
        items[0].from_postgres = rows[i].from_postgres;
        n_items = 1;
        begin(false);
        sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
        table.ready = rows[i].ready;
        table.bytes = rows[i].bytes;
        assert_int_equal(say(RELEASE_ROW, "22P05"), rows[i].wanted);
        table.ready = true;
        table.bytes = true;
        table.generation += rows[i].wanted ? 1 : 0;
        if (rows[i].wanted) {
            next(PLAN_PRODUCTS);
            plan_products(plan, now_us);
            sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
            releases("");
        }
        ends(rows[i].wanted ? "R" : "I");
    }
}

static void a_lock_met_inside(void **state)
{
    (void)state;
    run(4, false);
    for (int i = 0; i < 3; i++) {
        sends(RELEASE_CAREFUL, 0, 4, LOCK_US);
        fails(RELEASE_RETRY, "55P03");
    }
    sends(RELEASE_CAREFUL, 0, 2, SEARCH_US);
    releases("");
    sends(RELEASE_CAREFUL, 2, 2, SEARCH_US);
    fails(RELEASE_RETRY, "55P03");
    sends(RELEASE_CAREFUL, 2, 1, SEARCH_US);
    fails(RELEASE_RETRY, "55P03");
    sends(RELEASE_CAREFUL, 3, 1, SEARCH_US);
    releases("");
    ends("RRLR");
    assert_int_equal(items[2].lock, LOCK_INSIDE);
}

/* A search that finds nobody: whether any release went through decides what is known. */
static void a_lock_that_is_not_found(void **state)
{
    (void)state;
    for (int passed = 0; passed < 2; passed++) {
        run(64, false);
        for (int i = 0; i < 24; i++) {
            next(PLAN_RELEASE);
            if (passed > 0 && i == 4)
                releases("");
            else
                fails(RELEASE_RETRY, "55P03");
            now_us += 100 * MS_US;
        }
        while (plan_next(plan, &table, now_us, &step), step.action == PLAN_RELEASE)
            fails(RELEASE_RETRY, "55P03");
        assert_int_equal(step.action, PLAN_DONE);
        assert_int_equal(items[63].outcome, OUTCOME_LOCKED);
        assert_int_equal(items[63].lock, passed > 0 ? LOCK_AMONG : LOCK_INSIDE);
    }
}

/* Item i is known to be locked inside, since so long. */
static void know(size_t i, int64_t since_us)
{
    items[i].outcome = OUTCOME_LOCKED;
    items[i].lock = LOCK_INSIDE;
    locked_note(locked, &items[i], now_us, now_us - since_us);
}

static void known_ones_come_last(void **state)
{
    (void)state;
    make(8);
    know(0, 0);
    know(1, 0);
    for (size_t i = 2; i < 8; i++)
        know(i, HOUR_US);
    locked_note(locked, &(struct item){.id = items[7].id, .outcome = OUTCOME_RELEASED}, 0, now_us);
    begin(true);
    sends(RELEASE_CAREFUL, 7, 1, LOCK_US);
    assert_false(step.watch);
    releases("");
    sends(RELEASE_CAREFUL, 0, 7, LOCK_US); /* 0 is not to be watched: so all together */
    assert_false(step.watch);
    fails(RELEASE_RETRY, "55P03");
    sends(RELEASE_CAREFUL, 0, 3, SEARCH_US); /* no repeats */
    releases("");
    sends(RELEASE_CAREFUL, 3, 4, SEARCH_US);
    releases("");
    ends("RRRRRRRR");
    for (size_t i = 0; i < 8; i++)
        locked_note(locked, &items[i], now_us, now_us);
    make(8);
    for (size_t i = 0; i < 8; i++)
        know(i, HOUR_US);
    begin(false);
    for (size_t i = 0; i < 4; i++) {
        sends(RELEASE_CAREFUL, i, 1, LOCK_US);
        assert_true(step.watch);
        fails(RELEASE_RETRY, "55P03");
    }
    sends(RELEASE_CAREFUL, 4, 4, LOCK_US);
    releases("");
    ends("LLLLRRRR");
    make(9);
    for (size_t i = 0; i < 5; i++)
        locked_note(locked, &(struct item){.id = items[i].id, .outcome = OUTCOME_RELEASED}, 0,
                    now_us);
    know(8, HOUR_US);
    begin(false);
    sends(RELEASE_CAREFUL, 0, 5, LOCK_US);
    releases("");
    for (size_t i = 5; i < 9; i++) {
        sends(RELEASE_CAREFUL, i, 1, LOCK_US);
        assert_true(step.watch);
        releases("");
    }
    ends("RRRRRRRRR");
}

static void an_error_in_doubt(void **state)
{
    (void)state;
    run(4, false);
    sends(RELEASE_CAREFUL, 0, 4, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    sends(RELEASE_CAREFUL, 0, 2, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    sends(RELEASE_CAREFUL, 1, 1, LOCK_US);
    fails(RELEASE_EITHER, "42703");
    sends(RELEASE_CAREFUL, 2, 2, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    ends("XXXX");
    assert_true(plan_fault(plan) == &items[0]);
    assert_string_equal(items[0].sqlstate, "42501");
    assert_string_equal(items[0].error, "no");
    run(5, false); /* what is released says whose fault it is */
    assert_null(plan_fault(plan));
    sends(RELEASE_CAREFUL, 0, 5, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    sends(RELEASE_CAREFUL, 0, 2, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    sends(RELEASE_CAREFUL, 1, 1, LOCK_US);
    releases("");
    sends(RELEASE_CAREFUL, 2, 3, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    next(PLAN_PRODUCTS);
    plan_products(plan, now_us);
    sends(RELEASE_CAREFUL, 2, 1, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    sends(RELEASE_CAREFUL, 3, 2, LOCK_US);
    releases("");
    sends(RELEASE_CAREFUL, 0, 1, LOCK_US); /* the one in doubt, again */
    fails(RELEASE_EITHER, "42501");
    ends("FRFRR");
    assert_null(plan_fault(plan));
}

static void doubt_elsewhere(void **state)
{
    (void)state;
    make(1);
    items[0].attempts = 1;
    begin(false);
    sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
    fails(RELEASE_EITHER, "42501"); /* it was refused before */
    ends("F");
    run(2, false);
    sends(RELEASE_CAREFUL, 0, 2, LOCK_US);
    table.ready = false;
    fails(RELEASE_EITHER, "42501"); /* whoever reads the catalog says why */
    ends("XX");
    assert_null(plan_fault(plan));
    table.ready = true;
    run(2, false);
    sends(RELEASE_CAREFUL, 0, 2, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    table.generation++; /* the table is another by now: nothing is in doubt */
    sends(RELEASE_CAREFUL, 0, 2, LOCK_US);
    releases("");
    ends("RR");
}

static void nothing_is_sent_any_more(void **state)
{
    static const struct {
        enum release_fault fault;
        const char *outcomes;
    } rows[] = {{RELEASE_GONE, "RUU"}, {RELEASE_UNKNOWN, "RUU"}, {RELEASE_SERVER, "RXX"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        run(3, true);
        sends(RELEASE_BULK, 0, 3, BULK_US);
        releases("R--");
        sends(RELEASE_CAREFUL, 1, 2, LOCK_US);
        fails(rows[i].fault, "53100");
        ends(rows[i].outcomes);
        assert_true(plan_fault(plan) == (rows[i].fault == RELEASE_SERVER ? &items[1] : NULL));
        assert_true(rows[i].fault != RELEASE_SERVER || strcmp(items[1].sqlstate, "53100") == 0);
    }
    run(3, true);
    sends(RELEASE_BULK, 0, 3, BULK_US);
    releases("R--");
    sends(RELEASE_CAREFUL, 1, 2, LOCK_US);
    fails(RELEASE_BUSY, "55P03"); /* whatever it was that kept the other release so long */
    ends("RLL");
    assert_true(items[1].lock == LOCK_AMONG && items[2].lock == LOCK_AMONG);
    run(101, false);
    sends(RELEASE_BULK, 0, 101, BULK_US);
    plan_unsent(plan);
    ends(NULL);
    assert_int_equal(items[0].outcome, OUTCOME_UNKNOWN);
    assert_int_equal(items[100].outcome, OUTCOME_UNKNOWN);
    run(2, false); /* what was in doubt is decided as well, whatever becomes of the statements */
    sends(RELEASE_CAREFUL, 0, 2, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
    fails(RELEASE_EITHER, "42501");
    sends(RELEASE_CAREFUL, 1, 1, LOCK_US);
    fails(RELEASE_SERVER, "53100");
    table.generation++;
    ends("XX");
}

static void statements_that_are_out_of_date(void **state)
{
    (void)state;
    run(2, true);
    sends(RELEASE_BULK, 0, 2, BULK_US);
    fails(RELEASE_STALE, "");
    table.generation++;
    table.bulk = false;
    table.id_kind = ID_INT4;
    sends(RELEASE_CAREFUL, 0, 2, LOCK_US);
    fails(RELEASE_STALE, "");
    table.ready = false; /* there are none at present */
    sends(RELEASE_CAREFUL, 0, 2, LOCK_US);
    plan_unsent(plan);
    ends("UU");
    table.ready = true;
}

/* Item 1 is no id; what becomes of it, by what is said of the table. */
static void no_ids(void **state)
{
    static const struct {
        enum plan_proved proved;
        char outcome;
    } rows[] = {{PLAN_PROVED, 'I'}, {PLAN_PROOF_REFUSED, 'N'}, {PLAN_PROOF_LOST, 'U'}};
    (void)state;
    table.id_kind = ID_INT4;
    make(2);
    items[1].copy[0] = 'x';
    begin(false);
    sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
    releases("");
    ends("RI"); /* an answer is proof enough */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char outcome[] = {rows[i].outcome, '\0'};
        refuse_one_of_a(0, i > 0); /* whose products they are is worth asking: of ids */
        make(1);
        items[0].copy[0] = 'x';
        begin(false);
        next(PLAN_PROOF);
        plan_proof(plan, PLAN_PROOF_OUTDATED);
        next(PLAN_PROOF);
        plan_proof(plan, rows[i].proved);
        ends(outcome);
    }
    make(1);
    items[0].copy[0] = 'x';
    begin(false);
    next(PLAN_PROOF);
    plan_unsent(plan);
    ends("U");
    begin(false);
    next(PLAN_PROOF);
    plan_proof(plan, PLAN_PROOF_OUTDATED);
    table.generation++;
    table.id_kind = ID_TEXT; /* it is one by now */
    next(PLAN_PRODUCTS);
    plan_products(plan, now_us);
    sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
    releases("");
    ends("R");
}

static void refused_before(void **state)
{
    (void)state;
    make(5);
    for (size_t i = 1; i < 5; i++)
        items[i].attempts = 1;
    begin(true);
    sends(RELEASE_CAREFUL, 0, 1, LOCK_US);
    releases("");
    sends(RELEASE_CAREFUL, 1, 1, LOCK_US);
    fails(RELEASE_ROW, "23514");
    next(PLAN_PRODUCTS);
    plan_products(plan, now_us);
    now_us += 50 * MS_US - 1;
    sends(RELEASE_CAREFUL, 2, 1, LOCK_US);
    fails(RELEASE_RETRY, "55P03");
    sends(RELEASE_CAREFUL, 2, 1, LOCK_US);
    releases("");
    now_us++;
    ends("RFRNN");
}

/* All items are locked by the counter of their product: of A the even ones, of B the odd ones. */
static void counters_held(void)
{
    next(PLAN_RELEASE);
    for (size_t i = 0; i < step.n; i++) {
        free(step.items[i]->counter);
        step.items[i]->counter = strdup((step.items[i] - items) % 2 == 0 ? "A" : "B");
    }
    releases("LLLL");
}

static void counters_are_waited_for(void **state)
{
    static const struct {
        enum release_fault fault;
        const char *outcomes;
    } rows[] = {{RELEASE_OK, "RRRR"},
                {RELEASE_RETRY, "LLLL"},
                {RELEASE_SLOW, "LLLL"},
                {RELEASE_EITHER, "XLXL"},
                {RELEASE_GONE, "ULUL"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool over = rows[i].fault == RELEASE_EITHER || rows[i].fault == RELEASE_GONE;
        now_us += 10 * SECOND_US;
        run(4, false);
        counters_held();
        ends("LLLL");
        now_us += 250 * MS_US;
        run(4, false);
        counters_held();
        for (size_t counter = 0; counter < (over ? 1 : 2); counter++) {
            next(PLAN_RELEASE);
            assert_int_equal(step.way, RELEASE_WAITING);
            assert_int_equal(step.n, 2);
            assert_int_equal(step.lock_timeout_us, LOCK_US);
            assert_false(step.watch);
            if (rows[i].fault == RELEASE_OK)
                releases("");
            else
                fails(rows[i].fault, "42501");
        }
        ends(rows[i].outcomes);
        assert_true((plan_fault(plan) != NULL) == (rows[i].fault == RELEASE_EITHER));
    }
}

static void a_wait_that_is_not_sent(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        run(1, false);
        counters_held();
        if (round > 0) {
            next(PLAN_RELEASE);
            assert_int_equal(step.way, RELEASE_WAITING);
            plan_unsent(plan);
        }
        ends(round > 0 ? "U" : "L");
        now_us += 250 * MS_US;
    }
}

static void four_counters_at_most(void **state)
{
    char product[2] = "";
    (void)state;
    for (int round = 0; round < 2; round++) {
        run(6, false);
        next(PLAN_RELEASE);
        for (size_t i = 0; i < 6; i++) {
            product[0] = (char)('A' + i);
            items[i].counter = strdup(product);
        }
        releases("LLLLLL");
        for (int i = 0; i < 4 && round > 0; i++) {
            next(PLAN_RELEASE);
            assert_int_equal(step.way, RELEASE_WAITING);
            assert_int_equal(step.n, 1);
            releases("");
        }
        ends(round > 0 ? "RRRRLL" : "LLLLLL");
        now_us += 250 * MS_US;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(none_at_all),
        TEST(a_backlog_goes_in_bulk),
        TEST(careful_is_a_hundred_at_a_time),
        TEST(what_fails_in_bulk_is_tried_with_care),
        TEST(after_two_in_vain_bulk_rests),
        TEST(a_refused_one_stands_alone),
        TEST(ten_refusals_open_a_breaker),
        TEST(a_release_between_counts),
        TEST(texts_without_a_form),
        TEST(a_lock_met_inside),
        TEST(a_lock_that_is_not_found),
        TEST(known_ones_come_last),
        TEST(an_error_in_doubt),
        TEST(doubt_elsewhere),
        TEST(nothing_is_sent_any_more),
        TEST(statements_that_are_out_of_date),
        TEST(no_ids),
        TEST(refused_before),
        TEST(counters_are_waited_for),
        TEST(a_wait_that_is_not_sent),
        TEST(four_counters_at_most),
#undef TEST
    };
    const struct log_options quiet = {LOG_ERROR, LOG_FORMAT_JSON, "test", true};
    if (log_setup(&quiet) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
