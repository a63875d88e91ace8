/* Drives a set of reservations to an outcome for each: see batch.h. */
#include "base/callback.h"
#include "release/batch_private.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "release/blockers.h"
#include "release/counter_waits.h"
#include "release/locked.h"
#include "release/products.h"
#include "release/stats.h"
#include "store/ask.h"
#include "store/statements.h"

#include <assert.h>
#include <stdlib.h>

/* A polite transaction holds its counters from beginning to end. Checkouts that want one of them
 * wait for as long: 2 ms for a hundred, 10 for 500. */
#define POLITE_MOST 100
#define SEARCH_PART 10           /* of the lock timeout */
#define WATCHED_MOST 4           /* of a batch's, by themselves */
#define PROBING_US (50 * MS_US)  /* for reservations that were refused before, in one batch */
#define LOST_US (30 * SECOND_US) /* beyond a statement's time; a resolver may block the loop */

static void step(void *arg);

struct batch *batch_new(const struct batch_options *options)
{
    struct batch *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    b->options = *options;
    b->next = timer_new(options->loop, step, b);
    if (b->next == NULL) {
        free(b);
        return NULL;
    }
    return b;
}

void batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    if (b->running)
        LIST_REMOVE(b, others);
    timer_free(b->next);
    free(b->order);
    free(b);
}

int64_t batch_deadline_us(const struct batch_list *running)
{
    const struct batch *b;
    int64_t earliest_us = INT64_MAX;
    LIST_FOREACH(b, running, others)
    {
        if (b->deadline_us < earliest_us)
            earliest_us = b->deadline_us;
    }
    return earliest_us;
}

void batch_push(struct batch *b, size_t first, size_t n, enum manner manner)
{
    assert(b->depth < sizeof(b->stack) / sizeof(b->stack[0]));
    b->stack[b->depth++] = (struct range){first, n, manner};
}

void batch_mark(struct batch *b, size_t first, size_t n, enum outcome outcome)
{
    for (size_t i = first; i < first + n; i++)
        b->order[i]->outcome = outcome;
}

void batch_give_up(struct batch *b, enum outcome outcome)
{
    for (size_t i = 0; i < b->all; i++)
        if (b->order[i]->outcome == OUTCOME_NONE)
            b->order[i]->outcome = outcome;
    b->depth = 0;
    b->doubted = false;
    b->stage = STAGE_PATIENCE;
    b->patient = PATIENT_PRODUCTS;
}

/* A hurried transaction that failed is repeated politely. */
enum release_way batch_way(const struct batch *b)
{
    if (b->stage == STAGE_PATIENCE)
        return RELEASE_WAITING;
    return b->hurry && b->stage == STAGE_FRESH && b->current.manner == MANNER_FRESH
               ? RELEASE_BULK
               : RELEASE_CAREFUL;
}

static void set_deadline(struct batch *b)
{
    b->deadline_us = clock_mono_us() + 2 * b->options.statement_timeout_us + LOST_US;
}

/* A lock that is searched for has been waited for already. */
static int64_t lock_timeout_us(const struct batch *b)
{
    if (batch_way(b) == RELEASE_BULK)
        return b->options.bulk_lock_timeout_us;
    bool waited = b->current.manner == MANNER_SEARCH && !b->watched;
    return b->options.lock_timeout_us / (waited ? SEARCH_PART : 1);
}

static struct release_options options_of(const struct batch *b)
{
    return (struct release_options){
        .statements = b->options.statements,
        .clock = b->options.clock,
        .lock_timeout_us = lock_timeout_us(b),
        .statement_timeout_us = b->options.statement_timeout_us,
        .way = batch_way(b),
    };
}

static void on_released(void *arg, const struct release_result *result)
{
    struct batch *b = arg;
    batch_answer(b, result);
    timer_after_us(b->next, 0);
}

/* Puts the next range on the stack; false when there is none. */
static bool next_range(struct batch *b)
{
    if (b->doubted)
        return batch_settle_doubt(b);
    if (b->stage == STAGE_FRESH) {
        batch_settle_conflicts(b);
        b->stage = STAGE_PROBES;
        b->probe = b->fresh;
        b->probes_end_us = clock_mono_us() + PROBING_US;
    }
    if (b->stage == STAGE_PROBES) {
        if (b->probe < b->n && clock_mono_us() < b->probes_end_us) {
            batch_push(b, b->probe++, 1, MANNER_POLITE); /* alone there is no hurry */
            return true;
        }
        if (b->probe < b->n)
            batch_mark(b, b->probe, b->n - b->probe, OUTCOME_UNTRIED);
        b->stage = STAGE_PATIENCE;
    }
    if (b->patient++ >= PATIENT_PRODUCTS)
        return false;
    size_t n = counter_waits_gather(b->options.counter_waits, b->order, b->n, clock_mono_us());
    if (n == 0)
        return false;
    batch_push(b, 0, n, MANNER_FRESH);
    return true;
}

static void on_products(void *arg)
{
    struct batch *b = arg;
    if (b->suspect != NULL)
        breakers_refused(b->options.breakers, b->suspect, b->reason, clock_mono_us());
    b->suspect = NULL;
    timer_after_us(b->next, 0);
}

/* True when an answer will come. */
static bool ask_products(struct batch *b)
{
    const struct release_options options = options_of(b);
    b->asked = true;
    return b->n > 0 && statements_ready(b->options.statements) &&
           products_ask(b->options.link, &options, b->order, b->n, on_products, b) == 0;
}

/* Leaves for later what the current range has beyond a polite transaction. */
static void stay_polite(struct batch *b)
{
    struct range *r = &b->current;
    if (r->n <= POLITE_MOST || batch_way(b) != RELEASE_CAREFUL)
        return;
    batch_push(b, r->first + POLITE_MOST, r->n - POLITE_MOST, r->manner);
    r->n = POLITE_MOST;
}

/* Takes the next range, without what is not to be tried now; false when there is none. */
static bool take_range(struct batch *b)
{
    while (b->depth > 0 || next_range(b)) {
        struct range r = b->stack[--b->depth];
        size_t left = 0;
        if (b->stage == STAGE_FRESH && b->asked)
            r.n =
                breakers_sift(b->options.breakers, b->order + r.first, r.n, clock_mono_us(), &left);
        if (left > 0)
            batch_push(b, r.first + 1, left, r.manner);
        if (r.n == 1 &&
            r.manner == MANNER_FRESH) /* alone there is no hurry, and a probe must decide */
            r.manner = MANNER_POLITE;
        b->current = r;
        stay_polite(b);
        if (r.n > 0)
            return true;
    }
    return false;
}

/* Where an item stands in the order. */
enum turn { TURN_FREE, TURN_LOCKED, TURN_REFUSED, TURN_INVALID, TURNS };

static enum turn turn_of(const struct batch *b, const struct item *item, enum id_kind kind)
{
    if (!item->from_postgres && !parse_id_valid(kind, item->id, item->id_len))
        return TURN_INVALID;
    if (item->attempts > 0)
        return TURN_REFUSED;
    return locked_inside(b->options.locked, item->id) ? TURN_LOCKED : TURN_FREE;
}

/* Those known to be locked inside, together; a few by themselves, if they are to be watched. */
static void push_known(struct batch *b)
{
    size_t first = b->free;
    while (first < b->fresh && first - b->free < WATCHED_MOST &&
           locked_wants_watch(b->options.locked, b->order[first]->id, clock_mono_us()))
        first++;
    if (first < b->fresh)
        batch_push(b, first, b->fresh - first, MANNER_POLITE);
    while (first-- > b->free)
        batch_push(b, first, 1, MANNER_POLITE);
}

/* Puts the undecided in order for the statements that there are, and begins with them: first those
 * that nothing is known of, then those whose release met a lock inside, then those that were
 * refused, last what cannot be an id of the table. */
static void arrange(struct batch *b)
{
    enum id_kind kind = statements_types(b->options.statements)->id_kind;
    size_t ends[TURNS];
    b->generation = statements_generation(b->options.statements);
    b->depth = 0;
    b->patient = 0;
    b->works = b->doubted = b->proved = false;
    b->stage = STAGE_FRESH;
    b->first_met = (struct conflicts){.limits = &conflict_limits_first};
    b->known_met = (struct conflicts){.limits = &conflict_limits_known};
    b->all = 0;
    for (enum turn turn = TURN_FREE; turn < TURNS; turn++) {
        for (size_t i = 0; i < b->n_items; i++)
            if (b->items[i].outcome == OUTCOME_NONE && turn_of(b, &b->items[i], kind) == turn)
                b->order[b->all++] = &b->items[i];
        ends[turn] = b->all;
    }
    b->free = ends[TURN_FREE];
    b->fresh = ends[TURN_LOCKED];
    b->n = ends[TURN_REFUSED];
    push_known(b);
    if (b->free > 0)
        batch_push(b, 0, b->free, MANNER_FRESH);
}

/* Other statements than it was arranged for: the table is another by now. What is in doubt is not
 * decided. */
static void follow(struct batch *b)
{
    if (!statements_ready(b->options.statements) ||
        statements_generation(b->options.statements) == b->generation)
        return;
    for (size_t i = 0; i < b->all && b->doubted; i++)
        if (b->order[i]->outcome == OUTCOME_FAULT)
            b->order[i]->outcome = OUTCOME_NONE;
    arrange(b);
}

static void on_proof(void *arg, const struct pg_answer *answer)
{
    struct batch *b = arg;
    b->proved = answer->status == PG_DONE;
    if (!b->proved && !ask_is_stale(answer))
        batch_give_up(b, answer->status == PG_REFUSED ? OUTCOME_UNTRIED : OUTCOME_UNKNOWN);
    timer_after_us(b->next, 0);
}

/* What cannot be an id of the table as it was known may be one by now: it is discarded only when a
 * statement has shown, after the claim, that the table is still the same. True when an answer will
 * come. */
static bool judge_invalid(struct batch *b)
{
    const struct release_options options = options_of(b);
    if (b->n == b->all || b->order[b->n]->outcome != OUTCOME_NONE)
        return false;
    if (!b->proved && statements_ready(b->options.statements) &&
        release_ask(b->options.link, &options, STATEMENT_PRODUCTS, b->order, 0, on_proof, b) == 0)
        return true;
    batch_mark(b, b->n, b->all - b->n, b->proved ? OUTCOME_INVALID : OUTCOME_UNKNOWN);
    return false;
}

static void finish(struct batch *b)
{
    b->running = false;
    LIST_REMOVE(b, others);
    if (b->outdated)
        pg_link_renew(b->options.link,
                      "the session was ended: it may keep plans of a table that has changed");
    b->done(b->arg);
}

/* Whom it waits for is of interest, and seen only while it waits. */
static bool watch(const struct batch *b)
{
    struct range r = b->current;
    return r.n == 1 && r.first >= b->free && r.first < b->fresh &&
           blockers_watch(b->options.blockers, b->options.link, b->order[r.first]->id);
}

static void step(void *arg)
{
    struct batch *b = arg;
    set_deadline(b);
    follow(b);
    if (b->wonder && !b->asked && ask_products(b))
        return;
    if (!take_range(b)) {
        if (!judge_invalid(b))
            finish(b);
        return;
    }
    b->watched = watch(b);
    const struct release_options options = options_of(b);
    if (!statements_ready(b->options.statements) ||
        release_send(b->options.link, &options, b->order + b->current.first, b->current.n,
                     on_released, b) != 0) {
        batch_mark(b, b->current.first, b->current.n, OUTCOME_UNKNOWN);
        batch_give_up(b, OUTCOME_UNKNOWN);
        timer_after_us(b->next, 0);
    }
}

void batch_run(struct batch *b, struct item *items, size_t n, bool hurry, event_cb *done, void *arg)
{
    assert(!b->running);
    b->running = true;
    LIST_INSERT_HEAD(b->options.running, b, others);
    set_deadline(b);
    b->done = done;
    b->arg = arg;
    b->items = items;
    b->n_items = n;
    b->n = b->free = b->fresh = b->all = b->depth = 0;
    b->hurry = (hurry || n > POLITE_MOST) &&
               mapping_allows_bulk(statements_types(b->options.statements)) &&
               clock_mono_us() >= b->polite_until_us;
    b->wonder = breakers_any(b->options.breakers, clock_mono_us());
    b->asked = b->doubted = b->outdated = false;
    b->suspect = NULL;
    for (size_t i = 0; i < n; i++)
        items[i].outcome = OUTCOME_NONE;
    if (n > b->capacity) {
        struct item **order = realloc(b->order, n * sizeof(struct item *));
        if (order == NULL) {
            for (size_t i = 0; i < n; i++)
                items[i].outcome = OUTCOME_UNKNOWN;
            batch_give_up(b, OUTCOME_UNKNOWN);
            timer_after_us(b->next, 0);
            return;
        }
        b->order = order;
        b->capacity = n;
    }
    arrange(b);
    if (b->n > 0)
        step(b); /* there is something to send, so this does not end the batch */
    else
        timer_after_us(b->next, 0);
}
