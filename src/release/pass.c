/* One forward pass over everything that has expired, straight from Postgres. */
#include "release/pass.h"

#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "release/account.h"
#include "release/drop.h"
#include "release/engine.h"
#include "release/left.h"
#include "release/pages.h"
#include "release/parts.h"
#include "release/refusal_log.h"
#include "release/refusals.h"
#include "store/statements.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Until the lanes that were lent are looked at again, while all of them have other work. */
#define LANES_US (50 * MS_US)
#define LOST "the connection to Postgres was lost"

struct pass {
    struct parts *parts;
    struct pages *pages;
    struct refusals *refusals;
    struct refusals *deferred; /* those that the log has named */
    struct timer *turn;        /* carries on outside the caller */
    struct engine *own;        /* lanes over the caller's links */
    struct engine *lent;       /* ... and others', for direct mode; NULL: none */
    struct source own_source, lent_source;

    bool running, stopping, asked, last, freed;
    bool refused;       /* Redis could not be told something, and the log has it */
    bool lent_lost;     /* a lent lane's connection was lost: the others went on */
    struct item *items; /* the page in hand */
    size_t n, next;     /* those before `next` have been handed to lanes */
    int slices;         /* ... and so many lanes are at work on them */
    int telling;        /* so many drops have no answer of Redis's, and need the page */
    int64_t heard_us;   /* monotonic: the last answer of Postgres's */
    struct left left;   /* by the last pass, or the one under way, in the pages before */
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

/* What lent lanes release, the own one does not: no more batches at once than there are workers. */
static bool use_lent(const struct pass *p)
{
    return p->lent != NULL && parts_degraded(p->parts) && engine_usable(p->lent) > 0;
}

/* The next slice of the page. */
static bool take_slice(struct pass *p, struct work *work)
{
    size_t left = p->n - p->next;
    size_t most = (size_t)p->parts->config->batch_size;
    if (!p->running || p->stopping || left == 0)
        return false;
    work->items = p->items + p->next;
    work->n = left < most ? left : most;
    work->bulk = work->n == most;
    p->next += work->n;
    p->slices++;
    return true;
}

static bool take_own(void *arg, struct work *work)
{
    return !use_lent(arg) && take_slice(arg, work);
}

static bool take_lent(void *arg, struct work *work)
{
    return use_lent(arg) && take_slice(arg, work);
}

static void on_own_slice(void *arg, const struct work *work);
static void on_lent_slice(void *arg, const struct work *work);

struct pass *pass_new(struct parts *parts, struct pg_link *const *links, int nlinks,
                      struct engine *lent)
{
    struct pass *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->parts = parts;
    p->pages = pages_new(parts, links[0]);
    p->refusals = refusals_new();
    p->deferred = refusals_new();
    p->turn = timer_new(parts->loop, advance, p);
    p->own_source = (struct source){.take = take_own, .done = on_own_slice, .arg = p};
    p->lent_source = (struct source){.take = take_lent, .done = on_lent_slice, .arg = p};
    p->own = engine_new(parts, links, nlinks, NULL, NULL);
    if (p->pages == NULL || p->refusals == NULL || p->deferred == NULL || p->turn == NULL ||
        p->own == NULL) {
        pass_free(p);
        return NULL;
    }
    engine_add(p->own, &p->own_source);
    p->lent = lent;
    if (lent != NULL)
        engine_add(lent, &p->lent_source);
    return p;
}

/* What a question to Redis may still need. */
static void free_told(struct pass *p)
{
    if (p->telling > 0)
        return;
    clear_page(p);
    left_clear(&p->left);
    free(p);
}

void pass_free(struct pass *p)
{
    if (p == NULL)
        return;
    if (p->lent != NULL)
        engine_remove(p->lent, &p->lent_source);
    engine_free(p->own);
    pages_free(p->pages);
    refusals_free(p->refusals);
    refusals_free(p->deferred);
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
        bool not_yet = false;
        uint32_t attempts = refusals_find(p->refusals, id, now_us, &not_yet);
        if (not_yet) {
            p->result.not_yet++;
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
        p->result.deferred++;
        if (refusals_meet(p->deferred, item->id))
            refusal_log_deferred(p->parts->refusal_log, item);
        break;
    case OUTCOME_UNTRIED:
        p->result.not_yet++;
        break;
    case OUTCOME_LOCKED:
        p->result.locked++;
        p->parts->stats.rescheduled[RESCHEDULE_LOCKED]++;
        break;
    case OUTCOME_UNKNOWN: /* a lane's connection was lost: on_own_slice, on_lent_slice */
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
        refusals_forget(p->deferred, item->id);
    }
    if (p->on_item != NULL)
        p->on_item(p->item_arg, item);
}

static void on_dropped(void *arg, const char *error)
{
    struct pass *p = arg;
    p->telling--;
    if (p->freed) {
        free_told(p);
        return;
    }
    /* Harmless: spent entries are forgotten when they come due. A daemon has said it otherwise. */
    if (error != NULL) {
        log_event(p->refused || parts_degraded(p->parts) ? LOG_DEBUG : LOG_WARN,
                  "Redis could not be told what was released; its entries go when they come due",
                  LOG_STR, "error", error, LOG_END);
        p->refused = true;
    }
    timer_after_us(p->turn, 0);
}

static bool met_loss(const struct work *work)
{
    for (size_t i = 0; i < work->n; i++)
        if (work->items[i].outcome == OUTCOME_UNKNOWN)
            return true;
    return false;
}

static void take_decided(struct pass *p, const struct work *work)
{
    assert(p->slices > 0);
    p->slices--;
    p->heard_us = clock_mono_us();
    account_decided(p->parts, work->items, work->n, server_clock_now_us(&p->parts->pg_clock));
    for (size_t i = 0; i < work->n; i++)
        take_item(p, &work->items[i]);
    if (drop_inactive(p->parts, work->items, work->n, on_dropped, p))
        p->telling++;
    timer_after_us(p->turn, 0);
}

static void on_own_slice(void *arg, const struct work *work)
{
    struct pass *p = arg;
    take_decided(p, work);
    if (met_loss(work)) {
        p->result.lost = true;
        fail(p, LOST);
    }
}

/* The other lanes go on, to the end; what this one left is the next pass's. */
static void on_lent_slice(void *arg, const struct work *work)
{
    struct pass *p = arg;
    take_decided(p, work);
    p->lent_lost = p->lent_lost || met_loss(work);
}

static void leave_page(struct pass *p)
{
    left_note(&p->left, p->items, p->n);
    clear_page(p);
}

static void finish(struct pass *p)
{
    leave_page(p);
    p->running = false;
    if (p->lent_lost) {
        p->result.lost = true;
        fail(p, LOST);
    }
    p->result.ok = p->error[0] == '\0';
    p->result.error = p->error;
    p->done(p->arg, &p->result);
}

const char *pass_oldest(const struct pass *p, int64_t *since_us)
{
    const struct item *item = p->left.id == NULL ? left_first(p->items, p->n) : NULL;
    *since_us = item != NULL ? item->expires_us : p->left.expired_us;
    return item != NULL ? item->id : p->left.id;
}

int64_t pass_heard_us(const struct pass *p)
{
    return p->heard_us;
}

/* Whether all of the page has been decided, or is not to be. */
static bool page_done(struct pass *p)
{
    bool lent = use_lent(p);
    if (p->next < p->n && !p->stopping)
        engine_poke(lent ? p->lent : p->own);
    if (p->slices > 0 || p->telling > 0)
        return false;
    if (p->next == p->n || p->stopping)
        return true;
    if (lent) { /* the lanes have other work: what was claimed before Redis went away */
        timer_after_us(p->turn, LANES_US);
        return false;
    }
    p->result.lost = statements_ready(p->parts->statements);
    fail(p, p->result.lost ? LOST : "the statements have to be made anew");
    return true;
}

static void advance(void *arg)
{
    struct pass *p = arg;
    if (!p->running || p->asked || !page_done(p))
        return;
    if (p->stopping || p->last) {
        finish(p);
        return;
    }
    leave_page(p);
    if (!statements_ready(p->parts->statements) || pages_next(p->pages, on_page, p) != 0) {
        fail(p, LOST);
        finish(p);
        return;
    }
    p->asked = true;
}

void pass_run(struct pass *p, int64_t min_overdue_us,
              void (*done)(void *arg, const struct pass_result *result), void *arg)
{
    assert(!p->running);
    left_clear(&p->left);
    p->running = true;
    p->stopping = p->asked = p->last = p->lent_lost = false;
    p->error[0] = '\0';
    memset(&p->result, 0, sizeof(p->result));
    p->done = done;
    p->arg = arg;
    pages_begin(p->pages, PAGES_FROM_START, -min_overdue_us, PAGES_SIZE, PAGES_SIZE_MAX);
    timer_after_us(p->turn, 0);
}
