/* A plan against a simulated Postgres: thousands of batches of good, refused, strange, slow and
 * locked reservations, over statements that break, servers that go and tables that change. What
 * must hold stands at the head of plan.c. RS_SEED is the first world's number, to see one again. */
#include "base/log.h"
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

#define WORLDS 600
#define BATCHES 12 /* in one world, which keeps its breakers, waits and locks */
#define MOST 400   /* items of a batch */
#define PRODUCTS 12
#define MS INT64_C(1000)
#define LOCK_TIMEOUT_US (20 * MS)
#define BULK_TIMEOUT_US (2 * MS)

/* What Postgres would do to a reservation, tried alone. */
enum nature {
    GOOD,
    NOT_DUE,
    INACTIVE,
    MISSING,
    ROW_LOCKED,
    REFUSED,
    STRANGE, /* refused, with an error that may be the statement's */
    SLOW,
    INSIDE, /* a lock is met inside its release */
    NO_ID,
    NATURES,
};

struct truth {
    enum nature nature;
    size_t product, other; /* other: a second one, or PRODUCTS */
    unsigned sent;         /* in how many statements */
    bool decided;          /* by an answer that was good */
};

struct world {
    uint32_t dice;
    unsigned number;
    int64_t mono_us;
    struct plan *plan;
    struct breakers *breakers;
    struct counter_waits *waits;
    struct locked *locked;
    bool drifted[PRODUCTS]; /* refused for every reservation */
    bool held[PRODUCTS];    /* a checkout has the counter */
    bool crowded;           /* all are of one product, which is held */
    bool suspect[PRODUCTS]; /* some refusal may have been its fault */
    struct plan_table table;
    struct item items[MOST];
    struct truth truth[MOST];
    size_t n;

    /* of the batch in hand */
    bool backlog, placed;
    int good_until;              /* statements that are answered; then: */
    enum release_fault disaster; /* what becomes of the one after */
    bool broken;                 /* the statement is refused, whatever it releases */
    bool over;                   /* nothing may be sent any more */
    int statements, stale, conflicts, counters, bulk;
    bool careful;
    bool searched;
    int64_t singles_since_us, searching_us;
};

static struct loop *loop;
static struct refusal_log *names;
static struct world w;

static unsigned roll(unsigned sides)
{
    w.dice ^= w.dice << 13;
    w.dice ^= w.dice >> 17;
    w.dice ^= w.dice << 5;
    return w.dice % sides;
}

#define check(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            print_message("RS_SEED=%u: %s\n", w.number, #what);                                    \
            assert_true(what);                                                                     \
        }                                                                                          \
    } while (0)

static struct truth *truth_of(const struct item *item)
{
    return &w.truth[item - w.items];
}

static bool is_drifted(const struct truth *t)
{
    return w.drifted[t->product] || (t->other < PRODUCTS && w.drifted[t->other]);
}

static bool is_held(const struct truth *t)
{
    if (t->nature != GOOD)
        return false;
    return w.held[t->product] || (t->other < PRODUCTS && w.held[t->other]);
}

static void product_name(size_t product, char name[8])
{
    snprintf(name, 8, "p%u", (unsigned)product);
}

static const struct release_result *say(enum release_fault fault, const char *sqlstate,
                                        const char *table)
{
    static struct release_result result;
    result = (struct release_result){
        .fault = fault, .sqlstate = sqlstate, .message = "no", .table = table};
    return &result;
}

/* ---- what Postgres does ---- */

static bool is_bulk(enum release_way way)
{
    return way == RELEASE_BULK || way == RELEASE_BACKLOG;
}

static void decide(struct item *item, enum release_way way)
{
    static const enum outcome outcomes[NATURES] = {
        [GOOD] = OUTCOME_RELEASED,   [NOT_DUE] = OUTCOME_NOT_DUE,   [INACTIVE] = OUTCOME_INACTIVE,
        [MISSING] = OUTCOME_MISSING, [ROW_LOCKED] = OUTCOME_LOCKED,
    };
    struct truth *t = truth_of(item);
    char name[8];
    if (is_bulk(way) && t->nature != GOOD)
        return;
    item->outcome = outcomes[t->nature];
    item->lock = LOCK_HELD;
    free(item->counter);
    item->counter = NULL;
    if (item->outcome == OUTCOME_RELEASED && is_held(t)) {
        check(way == RELEASE_CAREFUL);
        product_name(w.held[t->product] ? t->product : t->other, name);
        item->counter = strdup(name);
        item->outcome = OUTCOME_LOCKED;
    }
    t->decided = item->outcome != OUTCOME_LOCKED;
}

/* The error that Postgres meets first, of those that the items have; or NULL. */
static const struct release_result *error_of(const struct plan_step *step)
{
    const struct release_result *result = NULL;
    unsigned errors = 0;
    enum nature first = GOOD;
    for (size_t i = 0; i < step->n; i++) {
        const struct truth *t = truth_of(step->items[i]);
        bool held = step->way != RELEASE_CAREFUL && is_held(t);
        bool drifted = t->nature == GOOD && is_drifted(t) && !is_held(t);
        if (t->nature < REFUSED && !held && !drifted)
            continue;
        if (roll(++errors) > 0)
            continue;
        first = t->nature;
        if (t->nature == REFUSED)
            result = say(RELEASE_ROW, "23514", roll(2) > 0 ? "inventory_reservations" : "");
        else if (t->nature == STRANGE)
            result = say(RELEASE_EITHER, "42501", "");
        else if (t->nature == SLOW)
            result = say(RELEASE_SLOW, "57014", "");
        else if (t->nature == INSIDE || held)
            result = say(RELEASE_RETRY, "55P03", "");
        else
            result = say(RELEASE_ROW, "23514", "inventory");
    }
    if (result != NULL)
        w.mono_us += first == SLOW ? 400 * MS : 0;
    if (result != NULL && result->fault == RELEASE_RETRY)
        w.mono_us += step->lock_timeout_us;
    return result;
}

static const struct release_result *answer(const struct plan_step *step)
{
    const struct release_result *error;
    if (w.statements > w.good_until && w.disaster != RELEASE_OK) {
        w.over = w.disaster != RELEASE_STALE;
        if (w.disaster == RELEASE_STALE) {
            w.disaster = RELEASE_OK;
            w.stale++;
            w.table.generation++;
            return say(RELEASE_STALE, "", "");
        }
        return say(w.disaster, "", "");
    }
    if (w.broken)
        return say(RELEASE_EITHER, "42703", "");
    error = error_of(step);
    if (error != NULL)
        return error;
    for (size_t i = 0; i < step->n; i++) {
        step->items[i]->outcome = OUTCOME_NONE;
        decide(step->items[i], step->way);
    }
    return say(RELEASE_OK, "", "");
}

/* ---- what must hold of what is sent ---- */

static void check_counters(const struct plan_step *step)
{
    check(++w.counters <= 4 + 64); /* halves of them too */
    for (size_t i = 0; i < step->n; i++) {
        check(step->items[i]->outcome == OUTCOME_LOCKED);
        check(strcmp(step->items[i]->counter, step->items[0]->counter) == 0);
    }
}

static void check_sent(const struct plan_step *step)
{
    check(!w.over);
    check(step->n > 0 && step->n <= w.n);
    check(!w.table.limited || step->n <= 100);
    w.statements++;
    for (size_t i = 0; i < step->n; i++) {
        struct item *item = step->items[i];
        struct truth *t = truth_of(item);
        check(!t->decided);
        check(t->nature != NO_ID);
        check(item->outcome == (step->way == RELEASE_WAITING ? OUTCOME_LOCKED : OUTCOME_NONE));
        check(item->attempts == 0 || step->n == 1 || step->way == RELEASE_WAITING);
        check(!is_bulk(step->way) || t->sent == 0 || w.stale > 0);
        t->sent++;
    }
    if (is_bulk(step->way)) {
        bool placed = w.placed && w.table.backlog;
        check(step->way == (placed ? RELEASE_BACKLOG : RELEASE_BULK));
        check(!w.careful && (placed || w.table.bulk) && (w.backlog || w.n > 100) && step->n > 1);
        check(step->lock_timeout_us == BULK_TIMEOUT_US);
        w.bulk++;
    } else {
        check(step->lock_timeout_us == LOCK_TIMEOUT_US ||
              (step->lock_timeout_us == LOCK_TIMEOUT_US / 10 && w.searched &&
               step->way == RELEASE_CAREFUL));
    }
    if (step->way == RELEASE_CAREFUL)
        check(step->n <= 100);
    if (step->way == RELEASE_WAITING)
        check_counters(step);
    if (step->way == RELEASE_CAREFUL && step->items[0]->attempts > 0) {
        if (w.singles_since_us == 0)
            w.singles_since_us = w.mono_us;
        check(w.mono_us - w.singles_since_us < 50 * MS || w.stale > 0 ||
              truth_of(step->items[0])->sent > 1);
    }
}

static void release(const struct plan_step *step)
{
    const struct release_result *result;
    bool searching = step->way == RELEASE_CAREFUL;
    check_sent(step);
    w.mono_us += 1 * MS + (int64_t)roll(2) * MS;
    if (roll(400) == 0) {
        plan_unsent(w.plan);
        w.over = true;
        return;
    }
    result = answer(step);
    if (result->fault == RELEASE_RETRY && searching) {
        w.conflicts++;
        w.searched = true;
    }
    check(!plan_answer(w.plan, result, &w.table, w.mono_us));
    for (size_t i = 0; i < step->n; i++) {
        const struct truth *t = truth_of(step->items[i]);
        if (step->items[i]->outcome == OUTCOME_FAILED && t->nature != SLOW)
            w.suspect[t->product] = true;
        if (step->items[i]->outcome == OUTCOME_FAILED && t->other < PRODUCTS)
            w.suspect[t->other] = true;
        if (t->nature == SLOW)
            w.suspect[t->product] = true;
    }
}

static void tell_products(const struct plan_step *step)
{
    char name[8];
    check(step->n > 0);
    w.mono_us += 1 * MS;
    for (size_t i = 0; i < step->n && roll(200) > 0; i++) {
        struct item *item = step->items[i];
        const struct truth *t = truth_of(item);
        product_name(t->product, name);
        check(argz_add(&item->products, &item->products_len, name) == 0);
        product_name(t->other, name);
        if (t->other < PRODUCTS)
            check(argz_add(&item->products, &item->products_len, name) == 0);
    }
    plan_products(w.plan, w.mono_us);
}

/* ---- what must hold in the end ---- */

/* Fewer than that are told apart in any case (conflicts.c). */
static bool told_apart(void)
{
    return w.conflicts <= 24;
}

static bool may_be_deferred(const struct truth *t)
{
    return w.suspect[t->product] || (t->other < PRODUCTS && w.suspect[t->other]);
}

static void check_item(const struct item *item, size_t released)
{
    const struct truth *t = truth_of(item);
    enum outcome outcome = item->outcome;
    check(outcome != OUTCOME_NONE);
    if (w.over || w.broken) {
        check(t->decided || outcome != OUTCOME_RELEASED);
        return;
    }
    check(outcome != OUTCOME_UNKNOWN);
    if (outcome == OUTCOME_FAULT) {
        check(released == 0 || w.stale > 0);
        check(plan_fault(w.plan) != NULL);
        return;
    }
    check((outcome == OUTCOME_INVALID) == (t->nature == NO_ID));
    if (outcome == OUTCOME_DEFERRED) {
        check(may_be_deferred(t) && item->attempts == 0 && item->wait_us > 0 &&
              item->error != NULL);
        return;
    }
    if (outcome == OUTCOME_UNTRIED) {
        check(item->attempts > 0);
        return;
    }
    if (outcome == OUTCOME_LOCKED && t->nature != INSIDE && t->nature != ROW_LOCKED &&
        !is_held(t)) {
        check(!told_apart() || w.stale > 0);
        check(item->lock == LOCK_AMONG || w.conflicts > 0);
        return;
    }
    switch (t->nature) {
    case GOOD:
        if (is_held(t))
            check(outcome == OUTCOME_LOCKED || (outcome == OUTCOME_FAILED && is_drifted(t)));
        else
            check(outcome == (is_drifted(t) ? OUTCOME_FAILED : OUTCOME_RELEASED));
        break;
    case NOT_DUE:
        check(outcome == OUTCOME_NOT_DUE);
        break;
    case INACTIVE:
        check(outcome == OUTCOME_INACTIVE);
        break;
    case MISSING:
        check(outcome == OUTCOME_MISSING);
        break;
    case INSIDE:
    case ROW_LOCKED:
        check(outcome == OUTCOME_LOCKED);
        break;
    case REFUSED:
        check(outcome == OUTCOME_FAILED && strcmp(item->sqlstate, "23514") == 0);
        break;
    case STRANGE:
        check(outcome == OUTCOME_FAILED && strcmp(item->sqlstate, "42501") == 0);
        break;
    case SLOW:
        check(outcome == OUTCOME_FAILED && strcmp(item->sqlstate, "57014") == 0);
        break;
    case NO_ID:
    case NATURES:
        break;
    }
}

static void check_end(void)
{
    size_t released = 0, bad = 0, good = 0;
    for (size_t i = 0; i < w.n; i++) {
        const struct truth *t = &w.truth[i];
        released += w.items[i].outcome == OUTCOME_RELEASED ? 1 : 0;
        good += t->nature == GOOD && !is_drifted(t) && !is_held(t) ? 1 : 0;
        bad += t->nature >= REFUSED || is_drifted(t) ? 1 : 0;
    }
    for (size_t i = 0; i < w.n; i++)
        check_item(&w.items[i], released);
    check(w.bulk <= 1 + w.stale + (w.disaster != RELEASE_OK));
    check((size_t)w.statements <= (1 + (size_t)w.stale) * (40 + w.n / 50 + bad * 18));
    check(bad > 0 || w.statements <= 12 + (int)w.n || is_held(&w.truth[0]) || w.stale > 0);
    (void)good;
}

/* ---- batches ---- */

static enum nature random_nature(unsigned evil)
{
    if (roll(1000) >= evil)
        return GOOD;
    return (enum nature)(1 + roll(NATURES - 1));
}

static void make_items(unsigned evil)
{
    char id[16];
    for (size_t i = 0; i < w.n; i++) {
        enum nature nature = random_nature(evil);
        /* Those with a lock inside come again, since they are known then. */
        unsigned number = nature == INSIDE ? roll(20) : 1000 + (unsigned)i;
        snprintf(id, sizeof(id), nature == NO_ID ? "x%u" : "%u", number);
        check(item_init(&w.items[i], id, strlen(id)) == 0);
        w.items[i].n_places = w.placed ? 1 : 0;
        w.items[i].attempts = roll(1000) < evil / 4 ? 1 + roll(5) : 0;
        struct truth *t = &w.truth[i];
        *t = (struct truth){
            .nature = nature, .product = w.crowded ? 0 : roll(PRODUCTS), .other = PRODUCTS};
        if (roll(8) == 0)
            t->other = (t->product + 1 + roll(PRODUCTS - 1)) % PRODUCTS;
    }
}

static void drive(void)
{
    struct plan_step step;
    enum plan_proved proved;
    for (int steps = 0; steps < 20 * MOST; steps++) {
        plan_next(w.plan, &w.table, w.mono_us, &step);
        switch (step.action) {
        case PLAN_RELEASE:
            release(&step);
            break;
        case PLAN_PRODUCTS:
            tell_products(&step);
            break;
        case PLAN_PROOF:
            proved = roll(10) > 0 ? PLAN_PROVED : (enum plan_proved)roll(4);
            w.over = w.over || proved >= PLAN_PROOF_REFUSED;
            w.table.generation += proved == PLAN_PROOF_OUTDATED ? 1 : 0;
            w.stale += proved == PLAN_PROOF_OUTDATED ? 1 : 0;
            plan_proof(w.plan, proved);
            break;
        case PLAN_DONE:
            return;
        }
    }
    check(false && "it ends");
}

static void play_batch(void)
{
    static const unsigned evils[] = {0, 5, 20, 100, 500, 1000};
    static const enum release_fault disasters[] = {RELEASE_GONE, RELEASE_SERVER, RELEASE_UNKNOWN,
                                                   RELEASE_STALE};
    w.n = 1 + roll(roll(3) == 0 ? MOST : 40);
    w.backlog = roll(2) == 0;
    w.placed = roll(2) == 0;
    w.disaster = roll(8) == 0 ? disasters[roll(ARRAY_LEN(disasters))] : RELEASE_OK;
    w.good_until = (int)roll(12);
    w.broken = roll(20) == 0;
    w.over = w.searched = false;
    w.statements = w.stale = w.conflicts = w.counters = w.bulk = 0;
    w.singles_since_us = 0;
    w.table.bulk = roll(4) > 0;
    w.table.backlog = w.table.bulk && roll(4) > 0;
    w.table.limited = !w.table.bulk && roll(2) > 0;
    w.crowded = roll(8) == 0;
    for (size_t p = 0; p < PRODUCTS; p++)
        w.held[p] = (p == 0 && w.crowded) || roll(12) == 0;
    make_items(evils[roll(ARRAY_LEN(evils))]);
    check(plan_begin(w.plan, w.items, w.n, w.backlog, &w.table, w.mono_us) == 0);
    drive();
    check_end();
    for (size_t i = 0; i < w.n; i++) {
        locked_note(w.locked, &w.items[i], w.mono_us, w.mono_us);
        item_clear(&w.items[i]);
    }
    w.mono_us += (int64_t)roll(300) * MS;
}

static void play_world(unsigned number)
{
    memset(&w, 0, sizeof(w));
    w.number = number;
    w.careful = number % 7 == 3;
    w.dice = number * 2654435761U + 1;
    w.mono_us = 1000 * 1000 * MS;
    w.table = (struct plan_table){.ready = true, .generation = 1, .id_kind = ID_INT4};
    w.breakers = breakers_new(&shop_queue, names);
    w.waits = counter_waits_new();
    w.locked = locked_new();
    const struct plan_options options = {.counter_waits = w.waits,
                                         .breakers = w.breakers,
                                         .locked = w.locked,
                                         .lock_timeout_us = LOCK_TIMEOUT_US,
                                         .bulk_lock_timeout_us = BULK_TIMEOUT_US,
                                         .careful = &w.careful};
    w.plan = plan_new(&options);
    assert_true(w.plan != NULL && w.breakers != NULL && w.waits != NULL && w.locked != NULL);
    for (size_t p = 0; p < PRODUCTS; p++)
        w.drifted[p] = roll(3) == 0 && roll(12) == 0;
    for (int i = 0; i < BATCHES; i++)
        play_batch();
    plan_free(w.plan);
    locked_free(w.locked);
    counter_waits_free(w.waits);
    breakers_free(w.breakers);
}

static void random_worlds(void **state)
{
    const char *seed = getenv("RS_SEED");
    unsigned first = seed != NULL ? (unsigned)strtoul(seed, NULL, 10) : 1;
    (void)state;
    for (unsigned number = first; number < first + WORLDS; number++)
        play_world(number);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_worlds),
    };
    const struct log_options quiet = {LOG_ERROR, LOG_FORMAT_JSON, "test", true};
    if (log_setup(&quiet) != 0)
        return 1;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
