/* One forward pass over everything that has expired, straight from Postgres. */
#include "release/pass.h"

#include "base/log.h"
#include "config/config.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "link/redis_link.h"
#include "queue/due_queue.h"
#include "release/batch.h"
#include "release/pages.h"
#include "release/parts.h"
#include "release/refusal_log.h"
#include "release/refusals.h"
#include "store/statements.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* One connection with its batch; takes slices of the page in hand. */
struct runner {
    struct pass *pass;
    struct batch *batch;
    struct item *items; /* the slice, into the page */
    size_t n;
    struct due_entry *dropped; /* being told to Redis */
    bool telling;              /* Redis has not answered that yet */
    bool busy;
};

struct pass {
    struct parts *parts;
    struct pages *pages;
    struct refusals *refusals;
    struct refusals *held; /* those that the log has named */
    struct timer *turn;    /* carries on outside the caller */
    struct runner *runners;
    int nrunners;

    bool running, stopping, asked, last, freed;
    bool refused;       /* Redis could not be told something, and the log has it */
    struct item *items; /* the page in hand */
    size_t n, next;
    int64_t heard_us; /* monotonic: the last answer of Postgres's */
    char *left_id;    /* the oldest that the last pass left, since it failed; NULL: none */
    int64_t left_us;  /* ... when it expired */
    char error[PG_REASON_SIZE];
    struct pass_result result;
    void (*on_item)(void *arg, const struct item *item);
    void *item_arg;
    void (*done)(void *arg, const struct pass_result *result);
    void *arg;
};

static void advance(void *arg);

static void clear_page(struct pass *p)
{
    for (size_t i = 0; i < p->n; i++)
        item_clear(&p->items[i]);
    free(p->items);
    p->items = NULL;
    p->n = p->next = 0;
}

static void fail(struct pass *p, const char *error)
{
    if (p->error[0] == '\0')
        strncpy(p->error, error, sizeof(p->error) - 1);
    p->stopping = true;
}

struct pass *pass_new(struct parts *parts, struct pg_link *const *links, int nlinks)
{
    struct pass *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->parts = parts;
    p->pages = pages_new(parts, links[0]);
    p->refusals = refusals_new();
    p->held = refusals_new();
    p->turn = timer_new(parts->loop, advance, p);
    p->runners = calloc((size_t)nlinks, sizeof(struct runner));
    if (p->pages == NULL || p->refusals == NULL || p->held == NULL || p->turn == NULL ||
        p->runners == NULL)
        goto fail;
    for (; p->nrunners < nlinks; p->nrunners++) {
        struct runner *r = &p->runners[p->nrunners];
        r->pass = p;
        r->batch = parts_batch_new(parts, links[p->nrunners]);
        if (r->batch == NULL)
            goto fail;
    }
    return p;
fail:
    pass_free(p);
    return NULL;
}

/* What a question to Redis may still need. */
static void free_told(struct pass *p)
{
    for (int i = 0; i < p->nrunners; i++) {
        if (p->runners[i].telling)
            return;
    }
    for (int i = 0; i < p->nrunners; i++)
        free(p->runners[i].dropped);
    free(p->runners);
    clear_page(p);
    free(p->left_id);
    free(p);
}

void pass_free(struct pass *p)
{
    if (p == NULL)
        return;
    for (int i = 0; p->runners != NULL && i < p->nrunners; i++)
        batch_free(p->runners[i].batch);
    pages_free(p->pages);
    refusals_free(p->refusals);
    refusals_free(p->held);
    timer_free(p->turn);
    p->freed = true;
    free_told(p);
}

bool pass_running(const struct pass *p)
{
    return p->running;
}

void pass_watch(struct pass *p, void (*on_item)(void *arg, const struct item *item), void *arg)
{
    p->on_item = on_item;
    p->item_arg = arg;
}

void pass_stop(struct pass *p)
{
    p->stopping = true;
}

/* Takes a page's rows; several rows of one id that expire together stand side by side and count
 * once. */
static void take_page(struct pass *p, const struct page *page)
{
    p->items = calloc(page->n + 1, sizeof(struct item));
    if (p->items == NULL) {
        fail(p, "out of memory");
        return;
    }
    int64_t now_us = clock_mono_us();
    for (size_t i = 0; i < page->n; i++) {
        const char *id = pages_id(p->pages, i);
        if (i > 0 && strcmp(id, pages_id(p->pages, i - 1)) == 0)
            continue;
        bool held_back = false;
        uint32_t attempts = refusals_find(p->refusals, id, now_us, &held_back);
        if (held_back) {
            p->result.held_back++;
            continue;
        }
        if (item_init(&p->items[p->n], id, strlen(id)) != 0) {
            fail(p, "out of memory");
            return;
        }
        p->items[p->n].from_postgres = true;
        p->items[p->n].expires_us = pages_expires_us(p->pages, i);
        p->items[p->n++].attempts = attempts;
    }
}

static void on_page(void *arg, const struct page *page)
{
    struct pass *p = arg;
    p->asked = false;
    p->last = page->last;
    p->heard_us = page->error == NULL ? clock_mono_us() : p->heard_us;
    if (page->error != NULL)
        fail(p, page->error);
    else
        take_page(p, page);
    timer_after_us(p->turn, 0);
}

static void take_item(struct pass *p, const struct item *item)
{
    switch (item->outcome) {
    case OUTCOME_RELEASED:
        p->result.released++;
        units_add(&p->result.units, &item->units);
        break;
    case OUTCOME_FAILED:
        p->result.failed++;
        (void)refusals_note(p->refusals, item->id, clock_mono_us());
        break;
    case OUTCOME_DEFERRED:
        p->result.held++;
        if (refusals_meet(p->held, item->id))
            refusal_log_deferred(p->parts->refusal_log, item);
        break;
    case OUTCOME_UNTRIED:
        p->result.held_back++;
        break;
    case OUTCOME_LOCKED:
        p->result.locked++;
        p->parts->stats.rescheduled[RESCHEDULE_LOCKED]++;
        break;
    case OUTCOME_UNKNOWN:
        fail(p, "the connection to Postgres was lost");
        break;
    case OUTCOME_FAULT:
        fail(p, "Postgres cannot release at present");
        break;
    case OUTCOME_NONE:
    case OUTCOME_INACTIVE:
    case OUTCOME_MISSING:
    case OUTCOME_INVALID:
    case OUTCOME_NOT_DUE:
        break;
    }
    if (item->outcome == OUTCOME_RELEASED || item->outcome == OUTCOME_INACTIVE) {
        refusals_forget(p->refusals, item->id);
        refusals_forget(p->held, item->id);
    }
    if (p->on_item != NULL)
        p->on_item(p->item_arg, item);
}

static void runner_rest(struct runner *r)
{
    free(r->dropped);
    r->dropped = NULL;
    r->busy = false;
    timer_after_us(r->pass->turn, 0);
}

static void on_dropped(void *arg, size_t dropped, const char *error)
{
    struct runner *r = arg;
    (void)dropped;
    r->telling = false;
    if (r->pass->freed) {
        free_told(r->pass);
        return;
    }
    /* Harmless: spent entries are forgotten when they come due. A daemon has said it otherwise. */
    if (error != NULL) {
        log_event(r->pass->refused || parts_degraded(r->pass->parts) ? LOG_DEBUG : LOG_WARN,
                  "Redis could not be told what was released; its entries go when they come due",
                  LOG_STR, "error", error, LOG_END);
        r->pass->refused = true;
    }
    runner_rest(r);
}

/* Tells Redis what Postgres has settled. Returns true when an answer will come. */
static bool tell_redis(struct runner *r)
{
    struct parts *parts = r->pass->parts;
    if (parts->queue == NULL || redis_link_state(parts->redis) != REDIS_LINK_UP)
        return false;
    r->dropped = calloc(r->n + 1, sizeof(*r->dropped));
    if (r->dropped == NULL)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        const struct item *item = &r->items[i];
        if (item->outcome == OUTCOME_RELEASED || item->outcome == OUTCOME_INACTIVE)
            r->dropped[n++] = (struct due_entry){.id = item->id, .id_len = item->id_len};
    }
    r->telling = n > 0 && due_queue_drop(parts->queue, r->dropped, n, on_dropped, r) == 0;
    return r->telling;
}

static void on_batch(void *arg)
{
    struct runner *r = arg;
    struct parts *parts = r->pass->parts;
    r->pass->heard_us = clock_mono_us();
    account_decided(parts, r->items, r->n, server_clock_now_us(&parts->pg_clock));
    for (size_t i = 0; i < r->n; i++)
        take_item(r->pass, &r->items[i]);
    if (!tell_redis(r))
        runner_rest(r);
}

/* Hands slices to idle runners; returns how many are busy. */
static int dispatch(struct pass *p)
{
    int busy = 0;
    for (int i = 0; i < p->nrunners; i++) {
        struct runner *r = &p->runners[i];
        size_t left = p->n - p->next;
        if (!r->busy && left > 0 && !p->stopping && statements_ready(p->parts->statements)) {
            size_t most = (size_t)p->parts->config->batch_size;
            r->items = p->items + p->next;
            r->n = left < most ? left : most;
            p->next += r->n;
            r->busy = true;
            batch_run(r->batch, r->items, r->n, r->n == most, on_batch, r);
        }
        busy += r->busy ? 1 : 0;
    }
    return busy;
}

/* Not released for want of a connection, or of a statement that works. */
static bool is_left(enum outcome outcome)
{
    return outcome == OUTCOME_NONE || outcome == OUTCOME_UNKNOWN || outcome == OUTCOME_FAULT;
}

static const struct item *first_left(const struct pass *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (is_left(p->items[i].outcome))
            return &p->items[i];
    return NULL;
}

static void finish(struct pass *p)
{
    const struct item *left = first_left(p);
    p->left_id = left != NULL ? strdup(left->id) : NULL;
    p->left_us = left != NULL ? left->expires_us : 0;
    clear_page(p);
    p->running = false;
    p->result.ok = p->error[0] == '\0';
    p->result.error = p->error;
    p->done(p->arg, &p->result);
}

const char *pass_oldest(const struct pass *p, int64_t *since_us)
{
    const struct item *left = first_left(p);
    *since_us = left != NULL ? left->expires_us : p->left_us;
    return left != NULL ? left->id : p->left_id;
}

int64_t pass_heard_us(const struct pass *p)
{
    return p->heard_us;
}

static void advance(void *arg)
{
    struct pass *p = arg;
    if (!p->running || p->asked || dispatch(p) > 0)
        return;
    if (p->next < p->n && !p->stopping)
        fail(p, "the statements have to be made anew");
    if (p->stopping || p->last) {
        finish(p);
        return;
    }
    clear_page(p);
    if (!statements_ready(p->parts->statements) || pages_next(p->pages, on_page, p) != 0) {
        fail(p, "the connection to Postgres was lost");
        finish(p);
        return;
    }
    p->asked = true;
}

void pass_run(struct pass *p, int64_t min_overdue_us,
              void (*done)(void *arg, const struct pass_result *result), void *arg)
{
    assert(!p->running);
    free(p->left_id);
    p->left_id = NULL;
    p->left_us = 0;
    p->running = true;
    p->stopping = p->asked = p->last = false;
    p->error[0] = '\0';
    memset(&p->result, 0, sizeof(p->result));
    p->done = done;
    p->arg = arg;
    pages_begin(p->pages, PAGES_FROM_START, -min_overdue_us, PAGES_SIZE, PAGES_SIZE_MAX);
    timer_after_us(p->turn, 0);
}
