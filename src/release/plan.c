/* What is tried next of a batch.
 *
 * Most batches are one transaction that is answered for all of them. The plan is for the rest: one
 * reservation that Postgres refuses, or that waits for a lock, must not keep the others, and the
 * error of a transaction does not say whose it was.
 *
 * The items are put in an order by what is known of them (enum group), and go through the stages
 * (enum stage) in it. What is to be tried is a stack of ranges of the order: plan_next takes the
 * uppermost, and plan_answer decides its items or puts parts of it back: both halves after a
 * refusal, so that the refused one stands alone in the end; all of it, the careful way, after a
 * bulk release that failed.
 *
 * What must hold, and what test_plan.c plays through:
 * - Every item leaves with exactly one outcome. One that was released is never sent again.
 * - A range is sent again only after an answer that was worth something: it is smaller then, or
 *   careful where it was bulk, or one of three attempts at a lock (conflicts.c), or the statements
 *   are others. So a batch ends, after at most some two statements for each item.
 * - After an answer that says that the server is of no use (gone, full, no answer to a COMMIT)
 *   nothing more is sent.
 * - An error that may be the statement's or a row's is in doubt until the stage has nothing left:
 *   where something was released, it is a row's.
 * - An item whose product has an open breaker is not sent, but for a trial, which is alone.
 *
 * A bulk release, or one by the places of the rows (RELEASE_BACKLOG), which is another of that
 * kind, never comes after the first try of a range. It is not tried at all for a while after two in
 * a row that waited in vain: then checkouts hold counters for long, and others would wait for those
 * that it holds meanwhile. */
#include "release/plan.h"

#include "base/time_units.h"
#include "release/counter_waits.h"
#include "release/plan_private.h"

#include <assert.h>
#include <stdlib.h>

#define SEARCH_PART 10          /* of the lock timeout */
#define SINGLES_US (50 * MS_US) /* for those that were refused before, in one batch */
#define COUNTERS_MOST 4         /* waited for in one batch */

struct plan *plan_new(const struct plan_options *options)
{
    struct plan *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->options = *options;
    p->stage = STAGE_DONE;
    return p;
}

void plan_free(struct plan *p)
{
    if (p == NULL)
        return;
    free(p->order);
    free(p);
}

static int reserve(struct plan *p, size_t n)
{
    if (n <= p->capacity)
        return 0;
    struct item **order = realloc(p->order, n * sizeof(struct item *));
    if (order == NULL)
        return -1;
    p->order = order;
    p->capacity = n;
    return 0;
}

int plan_begin(struct plan *p, struct item *items, size_t n, bool backlog,
               const struct plan_table *table, int64_t mono_us)
{
    assert(p->stage == STAGE_DONE && table->ready);
    p->items = items;
    p->n_items = n;
    p->placed = n > 0 && items[0].n_places > 0;
    bool careful = p->options.careful != NULL && *p->options.careful;
    p->wants_bulk =
        !careful && (backlog || n > PLAN_CAREFUL_MOST) && mono_us >= p->bulk_rest_end_us;
    p->curious = breakers_any(p->options.breakers, mono_us);
    p->asked = false;
    p->suspect = NULL;
    p->fault = NULL;
    bool room = reserve(p, n) == 0;
    for (size_t i = 0; i < n; i++)
        items[i].outcome = room ? OUTCOME_NONE : OUTCOME_UNKNOWN;
    plan_arrange(p, table, mono_us);
    return room ? 0 : -1;
}

/* Other statements than it was arranged for: the table is another by now. What is in doubt is not
 * decided. */
static void follow(struct plan *p, const struct plan_table *table, int64_t mono_us)
{
    if (!table->ready || table->generation == p->generation)
        return;
    for (size_t i = 0; i < p->end[GROUP_INVALID] && p->doubted; i++)
        if (p->order[i]->outcome == OUTCOME_FAULT)
            p->order[i]->outcome = OUTCOME_NONE;
    plan_arrange(p, table, mono_us);
}

/* Nothing is left to try, and some are in doubt. If the statement is right, their fault is their
 * own: they are tried again, and refused for it. */
static void settle_doubt(struct plan *p)
{
    const size_t end = p->end[GROUP_LOCKED];
    size_t i = 0;
    assert(p->stage == STAGE_TOGETHER);
    p->doubted = false;
    while (p->order[i]->outcome != OUTCOME_FAULT)
        i++;
    if (!p->works) {
        p->fault = p->order[i];
        plan_give_up(p, OUTCOME_FAULT);
        return;
    }
    while (i < end) {
        size_t n = 0;
        for (; i + n < end && p->order[i + n]->outcome == OUTCOME_FAULT; n++)
            p->order[i + n]->outcome = OUTCOME_NONE;
        if (n > 0)
            plan_push(p, (struct range){i, n, RELEASE_CAREFUL, false});
        i += n > 0 ? n : 1;
    }
}

/* All have been tried. Where nothing went through, there is no telling apart whose lock it was that
 * they met, and nobody is hurt by it: all are locked. */
static void settle_conflicts(struct plan *p)
{
    if (p->met.passed || p->met.failures == 0)
        return;
    for (size_t i = 0; i < p->end[GROUP_FREE]; i++)
        if (p->order[i]->outcome == OUTCOME_LOCKED)
            p->order[i]->lock = LOCK_INSIDE;
}

/* Of a stage that has nothing left to try: puts its next range on the stack, or begins the stage
 * that follows. */
static void go_on(struct plan *p, int64_t mono_us)
{
    const size_t end = p->end[GROUP_REFUSED];
    size_t n;
    switch (p->stage) {
    case STAGE_TOGETHER:
        if (p->doubted) {
            settle_doubt(p);
            break;
        }
        settle_conflicts(p);
        p->stage = STAGE_SINGLES;
        p->single = p->end[GROUP_LOCKED];
        p->singles_end_us = mono_us + SINGLES_US;
        break;
    case STAGE_SINGLES:
        if (p->single < end && mono_us < p->singles_end_us) {
            plan_push(p, (struct range){p->single++, 1, RELEASE_CAREFUL, false});
            break;
        }
        plan_mark(p, (struct range){.first = p->single, .n = end - p->single}, OUTCOME_UNTRIED);
        p->stage = STAGE_COUNTERS;
        break;
    case STAGE_COUNTERS:
        n = p->counters++ < COUNTERS_MOST
                ? counter_waits_gather(p->options.counter_waits, p->order, end, mono_us)
                : 0;
        if (n > 0)
            plan_push(p, (struct range){0, n, RELEASE_WAITING, false});
        else
            p->stage = STAGE_PROOF;
        break;
    case STAGE_PROOF:
    case STAGE_DONE:
        assert(false);
        break;
    }
}

/* Leaves for later what the current range has beyond a careful transaction. */
static void cut(struct plan *p)
{
    struct range r = p->current;
    bool limited = r.way == RELEASE_CAREFUL || (r.way == RELEASE_WAITING && p->limited);
    if (r.n <= PLAN_CAREFUL_MOST || !limited)
        return;
    plan_push(
        p, (struct range){r.first + PLAN_CAREFUL_MOST, r.n - PLAN_CAREFUL_MOST, r.way, r.search});
    p->current.n = PLAN_CAREFUL_MOST;
}

/* Takes the next range, without what is not to be tried now; false when there is none. */
static bool take_range(struct plan *p, int64_t mono_us)
{
    while (p->stage < STAGE_PROOF) {
        if (p->depth == 0) {
            go_on(p, mono_us);
            continue;
        }
        struct range r = p->stack[--p->depth];
        size_t left = 0;
        if (p->stage == STAGE_TOGETHER && p->asked)
            r.n = breakers_sift(p->options.breakers, p->order + r.first, r.n, mono_us, &left);
        if (left > 0) /* the first one is a trial */
            plan_push(p, (struct range){r.first + 1, left, r.way, r.search});
        if (r.n == 1 && plan_is_bulk(r.way)) /* nothing is gained, and a trial must decide */
            r.way = RELEASE_CAREFUL;
        p->current = r;
        cut(p);
        if (r.n > 0)
            return true;
    }
    return false;
}

/* A lock that is searched for has been waited for already. */
static int64_t lock_timeout_us(const struct plan *p)
{
    const struct range *r = &p->current;
    if (plan_is_bulk(r->way))
        return p->options.bulk_lock_timeout_us;
    return p->options.lock_timeout_us / (r->search ? SEARCH_PART : 1);
}

/* What cannot be an id of the table as it was known may be one by now: it is discarded only when a
 * statement has shown, after the claim, that the table is still the same. True when that is still
 * to be shown. */
static bool wants_proof(struct plan *p)
{
    if (p->stage != STAGE_PROOF)
        return false;
    const struct range invalid = {.first = p->end[GROUP_REFUSED],
                                  .n = p->end[GROUP_INVALID] - p->end[GROUP_REFUSED]};
    if (invalid.n > 0 && !p->proved)
        return true;
    plan_mark(p, invalid, OUTCOME_INVALID);
    p->stage = STAGE_DONE;
    return false;
}

void plan_next(struct plan *p, const struct plan_table *table, int64_t mono_us,
               struct plan_step *step)
{
    follow(p, table, mono_us);
    *step = (struct plan_step){
        .action = PLAN_DONE, .items = p->order, .lock_timeout_us = p->options.lock_timeout_us};
    if (p->curious && !p->asked && p->end[GROUP_REFUSED] > 0) {
        step->action = PLAN_PRODUCTS;
        step->n = p->end[GROUP_REFUSED];
    } else if (take_range(p, mono_us)) {
        step->action = PLAN_RELEASE;
        step->items = p->order + p->current.first;
        step->n = p->current.n;
        step->way = p->current.way;
        step->lock_timeout_us = lock_timeout_us(p);
        step->watch = step->n == 1 && plan_at_known(p);
    } else if (wants_proof(p)) {
        step->action = PLAN_PROOF;
    }
}

void plan_unsent(struct plan *p)
{
    if (p->stage < STAGE_PROOF)
        plan_mark(p, p->current, OUTCOME_UNKNOWN);
    plan_give_up(p, OUTCOME_UNKNOWN);
}

void plan_products(struct plan *p, int64_t mono_us)
{
    p->asked = true;
    if (p->suspect != NULL)
        breakers_refused(p->options.breakers, p->suspect, p->cause, mono_us);
}

void plan_proof(struct plan *p, enum plan_proved proved)
{
    assert(p->stage == STAGE_PROOF);
    p->proved = proved == PLAN_PROVED;
    if (proved == PLAN_PROOF_REFUSED)
        plan_give_up(p, OUTCOME_UNTRIED);
    else if (proved == PLAN_PROOF_LOST)
        plan_give_up(p, OUTCOME_UNKNOWN);
}

const struct item *plan_fault(const struct plan *p)
{
    return p->fault;
}
