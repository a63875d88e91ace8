/* Drives a set of reservations to an outcome for each: see batch.h. */
#include "batch.h"

#include "blames.h"
#include "clock.h"
#include "log.h"
#include "loop.h"
#include "pg_link.h"
#include "products.h"
#include "skips.h"
#include "statements.h"
#include "stats.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RETRIES 3              /* of the same transaction after a serialization failure */
#define PROBING_US (50 * 1000) /* for reservations that were refused before, in one batch */
#define PATIENT_PRODUCTS 4     /* counters waited for in one batch */
#define LOST_US (30 * 1000000) /* beyond a statement's time; a resolver may block the loop */

struct range {
    size_t first, n;
    int tries;
};

/* fresh -> probes -> patience: each stage hands ranges of `order` to release_send, one at a time.
 */
enum stage { STAGE_FRESH, STAGE_PROBES, STAGE_PATIENCE };

struct batch {
    struct batch_options options;
    struct timer *next; /* sends the next range on a later turn */
    bool running;
    LIST_ENTRY(batch) others; /* while running */
    int64_t deadline_us;      /* monotonic: of the step in hand */
    void (*done)(void *arg);
    void *arg;

    struct item **order; /* the valid ones: fresh first, then those refused before */
    size_t n, fresh, capacity;
    enum stage stage;
    bool hurry;
    size_t probe; /* next of order[] to try alone */
    int64_t probes_end_us;
    int patient; /* counters waited for so far */

    bool wonder, asked;     /* whose products these are: to be asked, has been */
    struct item *suspect;   /* refused before its products were known */
    enum blame_kind reason; /* why */

    struct range stack[64]; /* halving 5,000 needs 2 * log2(5,000) places at most */
    size_t depth;
    struct range current;
};

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

static void set_deadline(struct batch *b)
{
    b->deadline_us = clock_mono_us() + 2 * b->options.statement_timeout_us + LOST_US;
}

static void push(struct batch *b, size_t first, size_t n, int tries)
{
    assert(b->depth < sizeof(b->stack) / sizeof(b->stack[0]));
    b->stack[b->depth++] = (struct range){first, n, tries};
}

static void mark(struct batch *b, size_t first, size_t n, enum outcome outcome)
{
    for (size_t i = first; i < first + n; i++)
        b->order[i]->outcome = outcome;
}

/* Everything that has no outcome yet gets this one; nothing more is sent. */
static void give_up(struct batch *b, enum outcome outcome)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->order[i]->outcome == OUTCOME_NONE)
            b->order[i]->outcome = outcome;
    b->depth = 0;
    b->stage = STAGE_PATIENCE;
    b->patient = PATIENT_PRODUCTS;
}

static void halve(struct batch *b)
{
    struct range r = b->current;
    push(b, r.first + r.n / 2, r.n - r.n / 2, r.tries);
    push(b, r.first, r.n / 2, r.tries);
}

static void blame(struct batch *b, struct item *item, enum blame_kind reason)
{
    if (b->asked) {
        blames_refused(b->options.blames, item, reason, clock_mono_us());
    } else {
        b->suspect = item;
        b->reason = reason;
    }
}

static void refused(struct batch *b, const struct release_result *result)
{
    struct range r = b->current;
    b->wonder = b->wonder || b->stage == STAGE_FRESH;
    if (r.n > 1) {
        halve(b);
        return;
    }
    struct item *item = b->order[r.first];
    /* An id that the server's encoding cannot express names no row there. */
    if (strcmp(result->sqlstate, "22P05") == 0 || strcmp(result->sqlstate, "22021") == 0) {
        item->outcome = OUTCOME_INVALID;
        return;
    }
    item->outcome = OUTCOME_FAILED;
    memcpy(item->sqlstate, result->sqlstate, strnlen(result->sqlstate, 5) + 1);
    free(item->error);
    item->error = strdup(result->message);
    if (b->stage == STAGE_FRESH) /* what was refused before says nothing new */
        blame(b, item, blames_kind(result));
}

/* What was released speaks for its products. */
static void acquit(struct batch *b)
{
    for (size_t i = 0; i < b->current.n && b->asked; i++) {
        const struct item *item = b->order[b->current.first + i];
        if (item->outcome == OUTCOME_RELEASED)
            blames_released(b->options.blames, item);
    }
}

/* What a hurried release did not decide is left for a polite one. */
static void leave_to_politeness(struct batch *b)
{
    struct range r = b->current;
    size_t decided = 0;
    for (size_t i = 0; i < r.n; i++) {
        struct item *item = b->order[r.first + i];
        if (item->outcome == OUTCOME_NONE)
            continue;
        b->order[r.first + i] = b->order[r.first + decided];
        b->order[r.first + decided++] = item;
    }
    if (decided < r.n)
        push(b, r.first + decided, r.n - decided, 1);
}

static void log_server_fault(const struct release_result *result)
{
    log_event(LOG_ERROR, "Postgres cannot release at present", LOG_STR, "sqlstate",
              result->sqlstate, LOG_STR, "error", result->message, LOG_END);
}

/* A hurried transaction that failed is repeated politely. */
static enum release_way way_of(const struct batch *b)
{
    if (b->stage == STAGE_PATIENCE)
        return RELEASE_PATIENT;
    return b->hurry && b->stage == STAGE_FRESH && b->current.tries == 0 ? RELEASE_HURRIED
                                                                        : RELEASE_POLITE;
}

static struct release_options options_of(const struct batch *b)
{
    return (struct release_options){
        .statements = b->options.statements,
        .clock = b->options.clock,
        .lock_timeout_us = b->options.lock_timeout_us,
        .statement_timeout_us = b->options.statement_timeout_us,
        .way = way_of(b),
    };
}

/* What failed in a hurry says little: a lock, or a reservation that was flipped in part. */
static bool blames_hurry(const struct batch *b, enum release_fault fault)
{
    return way_of(b) == RELEASE_HURRIED &&
           (fault == RELEASE_ROW || fault == RELEASE_RETRY || fault == RELEASE_SLOW);
}

static void on_released(void *arg, const struct release_result *result)
{
    struct batch *b = arg;
    struct range r = b->current;
    if (blames_hurry(b, result->fault)) {
        push(b, r.first, r.n, 1);
        timer_after_us(b->next, 0);
        return;
    }
    switch (result->fault) {
    case RELEASE_OK:
        acquit(b);
        leave_to_politeness(b);
        b->options.stats->batches++;
        stats_observe(&b->options.stats->batch_size, (double)r.n);
        stats_observe(&b->options.stats->batch_s,
                      (double)(result->received_us - result->sent_us) / 1e6);
        break;
    case RELEASE_ROW:
        refused(b, result);
        break;
    case RELEASE_RETRY:
        if (r.tries + 1 < RETRIES && b->stage != STAGE_PATIENCE)
            push(b, r.first, r.n, r.tries + 1);
        else
            mark(b, r.first, r.n, OUTCOME_LOCKED);
        break;
    case RELEASE_SLOW: /* a lock that does not come, or too much at once */
        if (r.n > 1 && b->stage != STAGE_PATIENCE)
            halve(b);
        else
            mark(b, r.first, r.n, OUTCOME_LOCKED);
        break;
    case RELEASE_UNKNOWN:
        b->options.stats->unknown_commits += r.n;
        mark(b, r.first, r.n, OUTCOME_UNKNOWN);
        give_up(b, OUTCOME_UNKNOWN);
        break;
    case RELEASE_GONE:
        mark(b, r.first, r.n, OUTCOME_UNKNOWN);
        give_up(b, OUTCOME_UNKNOWN);
        break;
    case RELEASE_SERVER:
        log_server_fault(result);
        mark(b, r.first, r.n, OUTCOME_FAULT);
        give_up(b, OUTCOME_FAULT);
        break;
    }
    timer_after_us(b->next, 0);
}

/* Puts the next range on the stack; false when there is none. */
static bool next_range(struct batch *b)
{
    if (b->stage == STAGE_FRESH) {
        b->stage = STAGE_PROBES;
        b->probe = b->fresh;
        b->probes_end_us = clock_mono_us() + PROBING_US;
    }
    if (b->stage == STAGE_PROBES) {
        if (b->probe < b->n && clock_mono_us() < b->probes_end_us) {
            push(b, b->probe++, 1, 0);
            return true;
        }
        if (b->probe < b->n)
            mark(b, b->probe, b->n - b->probe, OUTCOME_UNTRIED);
        b->stage = STAGE_PATIENCE;
    }
    if (b->patient++ >= PATIENT_PRODUCTS)
        return false;
    size_t n = skips_gather(b->options.skips, b->order, b->n, clock_mono_us());
    if (n == 0)
        return false;
    push(b, 0, n, 0);
    return true;
}

static void on_products(void *arg)
{
    struct batch *b = arg;
    if (b->suspect != NULL)
        blames_refused(b->options.blames, b->suspect, b->reason, clock_mono_us());
    b->suspect = NULL;
    timer_after_us(b->next, 0);
}

/* True when an answer will come. */
static bool ask_products(struct batch *b)
{
    const struct release_options options = options_of(b);
    b->asked = true;
    return statements_ready(b->options.statements) &&
           products_ask(b->options.link, &options, b->order, b->n, on_products, b) == 0;
}

/* Takes the next range, without what is not to be tried now; false when there is none. */
static bool take_range(struct batch *b)
{
    while (b->depth > 0 || next_range(b)) {
        struct range r = b->stack[--b->depth];
        size_t left = 0;
        if (b->stage == STAGE_FRESH && b->asked)
            r.n = blames_sift(b->options.blames, b->order + r.first, r.n, clock_mono_us(), &left);
        if (left > 0)
            push(b, r.first + 1, left, r.tries);
        if (r.n == 1 && r.tries == 0) /* alone there is no hurry, and a probe must decide */
            r.tries = 1;
        b->current = r;
        if (r.n > 0)
            return true;
    }
    return false;
}

static void step(void *arg)
{
    struct batch *b = arg;
    set_deadline(b);
    if (b->wonder && !b->asked && ask_products(b))
        return;
    if (!take_range(b)) {
        b->running = false;
        LIST_REMOVE(b, others);
        b->done(b->arg);
        return;
    }
    const struct release_options options = options_of(b);
    if (!statements_ready(b->options.statements) ||
        release_send(b->options.link, &options, b->order + b->current.first, b->current.n,
                     on_released, b) != 0) {
        mark(b, b->current.first, b->current.n, OUTCOME_UNKNOWN);
        give_up(b, OUTCOME_UNKNOWN);
        timer_after_us(b->next, 0);
    }
}

/* Sorts the valid ones out: those never refused first. */
static void arrange(struct batch *b, struct item *items, size_t n)
{
    enum id_kind kind = statements_types(b->options.statements)->id_kind;
    b->n = 0;
    for (int refused_before = 0; refused_before <= 1; refused_before++) {
        for (size_t i = 0; i < n; i++) {
            if ((items[i].attempts > 0) != refused_before)
                continue;
            if (parse_id_valid(kind, items[i].id, items[i].id_len))
                b->order[b->n++] = &items[i];
            else
                items[i].outcome = OUTCOME_INVALID;
        }
        if (!refused_before)
            b->fresh = b->n;
    }
}

void batch_run(struct batch *b, struct item *items, size_t n, bool hurry, void (*done)(void *arg),
               void *arg)
{
    assert(!b->running);
    b->running = true;
    LIST_INSERT_HEAD(b->options.running, b, others);
    set_deadline(b);
    b->done = done;
    b->arg = arg;
    b->n = b->fresh = b->depth = 0;
    b->patient = 0;
    b->hurry = hurry;
    b->wonder = blames_any(b->options.blames, clock_mono_us());
    b->asked = false;
    b->suspect = NULL;
    b->stage = STAGE_FRESH;
    for (size_t i = 0; i < n; i++)
        items[i].outcome = OUTCOME_NONE;
    if (n > b->capacity) {
        struct item **order = realloc(b->order, n * sizeof(struct item *));
        if (order == NULL) {
            for (size_t i = 0; i < n; i++)
                items[i].outcome = OUTCOME_UNKNOWN;
            b->patient = PATIENT_PRODUCTS;
            timer_after_us(b->next, 0);
            return;
        }
        b->order = order;
        b->capacity = n;
    }
    arrange(b, items, n);
    if (b->fresh > 0)
        push(b, 0, b->fresh, 0);
    if (b->n > 0)
        step(b); /* there is something to send, so this does not end the batch */
    else
        timer_after_us(b->next, 0);
}
