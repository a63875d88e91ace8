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
#include "release/in_hand.h"
#include "release/kept_page.h"
#include "release/left.h"
#include "release/pages.h"
#include "release/parts.h"
#include "release/pass_page.h"
#include "release/pause.h"
#include "release/refusal_log.h"
#include "release/refusals.h"
#include "store/statements.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Until lanes that others use too are looked at again, while all of them have other work. */
#define LANES_US (50 * MS_US)
#define PAGES_IN_HAND 3 /* the one before may wait for Redis still */
#define LOST "the connection to Postgres was lost"

struct pass {
    struct pass_options options;
    struct pages *pages;
    struct refusals *refusals;
    struct refusals *deferred; /* those that the log has named */
    struct timer *turn;        /* carries on outside the caller */
    struct engine *engine;     /* lanes over the caller's links */
    struct source source, lent_source;

    bool running, stopping, asked, last, freed;
    bool placed;    /* it is known where the rows of its pages lie */
    bool refused;   /* Redis could not be told something, and the log has it */
    bool lane_lost; /* the connection of one of others' lanes was lost: the rest goes on */
    struct in_hand in_hand;
    int64_t heard_us; /* monotonic: the last answer of Postgres's */
    char error[PG_REASON_SIZE];
    struct pass_result result;
    void (*on_item)(void *arg, const struct item *item);
    void *item_arg;
    void (*done)(void *arg, const struct pass_result *result);
    void *arg;
};

static void advance(void *arg);
static void free_told(struct pass *p);

static void fail(struct pass *p, const char *error)
{
    if (p->error[0] == '\0')
        strncpy(p->error, error, sizeof(p->error) - 1);
    p->stopping = true;
}

/* What is in hand comes to its end; nothing more is begun. */
static void obey_pause(struct pass *p)
{
    const struct pause *pause = p->options.parts->pause;
    if (!p->running || p->stopping || pause_allows(pause))
        return;
    p->result.paused = true;
    fail(p, pause_reason(pause));
}

/* ---- what lanes are given ---- */

/* What lent lanes release, the own ones do not: no more batches at once than there are workers. */
static bool use_lent(const struct pass *p)
{
    return p->options.lent != NULL && parts_degraded(p->options.parts) &&
           engine_usable(p->options.lent) > 0;
}

static size_t slice_most(const struct pass *p)
{
    return pass_page_slice(p->options.parts->config, p->placed);
}

/* The next one is read over one lane while the others release what there is. */
static bool wants_page(const struct pass *p)
{
    size_t lanes = (size_t)engine_usable(use_lent(p) ? p->options.lent : p->engine);
    size_t others = use_lent(p) || lanes == 0 ? lanes : lanes - 1;
    return p->running && !p->stopping && !p->asked && !p->last && p->in_hand.n < PAGES_IN_HAND &&
           in_hand_waiting(&p->in_hand) <= others * slice_most(p);
}

static bool take_slice(struct pass *p, struct work *work)
{
    obey_pause(p);
    return p->running && !p->stopping && in_hand_slice(&p->in_hand, slice_most(p), work);
}

static void on_known(void *arg)
{
    struct pass_page *page = arg;
    struct pass *p = page->owner;
    page->asking = false;
    in_hand_told(&p->in_hand, page);
    if (p->freed) {
        free_told(p);
        return;
    }
    timer_after_us(p->turn, 0);
}

static void on_page(void *arg, const struct page *rows)
{
    struct pass *p = arg;
    struct parts *parts = p->options.parts;
    struct pass_page *page = NULL;
    p->asked = false;
    p->last = rows->last;
    if (rows->error != NULL) {
        fail(p, rows->error);
    } else {
        p->heard_us = clock_mono_us();
        page = pass_page_new(p->pages, rows->n, p->refusals,
                             p->options.spares_kept ? parts->keeps : NULL, &p->result);
        if (page == NULL)
            fail(p, "out of memory");
    }
    if (page != NULL) {
        page->owner = p;
        in_hand_add(&p->in_hand, page);
        page->asking = kept_page_ask(parts, page->items, page->n, on_known, page);
        if (page->asking)
            in_hand_tell(&p->in_hand, page);
    }
    timer_after_us(p->turn, 0);
}

static bool take_own(void *arg, struct work *work)
{
    struct pass *p = arg;
    if (work->lane != 0 || !wants_page(p))
        return !use_lent(p) && take_slice(p, work);
    p->asked = pages_next(p->pages, on_page, p) == 0;
    if (!p->asked) {
        fail(p, LOST);
        timer_after_us(p->turn, 0);
    }
    return false;
}

static bool take_lent(void *arg, struct work *work)
{
    return use_lent(arg) && take_slice(arg, work);
}

static void on_own_slice(void *arg, const struct work *work);
static void on_lent_slice(void *arg, const struct work *work);

struct pass *pass_new(const struct pass_options *options)
{
    struct pass *p = calloc(1, sizeof(*p));
    struct parts *parts = options->parts;
    if (p == NULL)
        return NULL;
    p->options = *options;
    in_hand_init(&p->in_hand);
    p->pages = pages_new(parts, options->links[0]);
    p->refusals = refusals_new();
    p->deferred = refusals_new();
    p->turn = timer_new(parts->loop, advance, p);
    p->source = (struct source){.take = take_own, .done = on_own_slice, .arg = p};
    p->lent_source = (struct source){.take = take_lent, .done = on_lent_slice, .arg = p};
    p->engine = options->shared != NULL
                    ? options->shared
                    : engine_new(parts, options->links, options->nlinks, NULL, NULL);
    if (p->engine != NULL)
        engine_add(p->engine, &p->source);
    if (options->lent != NULL)
        engine_add(options->lent, &p->lent_source);
    if (p->pages != NULL && p->refusals != NULL && p->deferred != NULL && p->turn != NULL &&
        p->engine != NULL)
        return p;
    pass_free(p);
    return NULL;
}

/* What a question to Redis may still need. */
static void free_told(struct pass *p)
{
    if (p->in_hand.telling > 0)
        return;
    in_hand_let_go(&p->in_hand, true);
    left_clear(&p->in_hand.left);
    free(p);
}

void pass_free(struct pass *p)
{
    if (p == NULL)
        return;
    if (p->options.lent != NULL)
        engine_remove(p->options.lent, &p->lent_source);
    if (p->engine != NULL)
        engine_remove(p->engine, &p->source);
    if (p->options.shared == NULL)
        engine_free(p->engine);
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

struct refusals *pass_refusals(struct pass *p)
{
    return p->refusals;
}

void pass_stop(struct pass *p)
{
    p->stopping = true;
}

/* ---- what they did ---- */

static void take_item(struct pass *p, const struct item *item)
{
    struct parts *parts = p->options.parts;
    pass_result_count(&p->result, item);
    if (item->outcome == OUTCOME_FAILED)
        (void)refusals_note(p->refusals, item->id, clock_mono_us());
    else if (item->outcome == OUTCOME_DEFERRED && refusals_meet(p->deferred, item->id))
        refusal_log_deferred(parts->refusal_log, item);
    else if (item->outcome == OUTCOME_LOCKED)
        parts->stats.rescheduled[RESCHEDULE_LOCKED]++;
    else if (item->outcome == OUTCOME_FAULT)
        fail(p, "Postgres cannot release at present");
    if (item->outcome == OUTCOME_RELEASED || item->outcome == OUTCOME_INACTIVE) {
        refusals_forget(p->refusals, item->id);
        refusals_forget(p->deferred, item->id);
    }
    if (p->on_item != NULL)
        p->on_item(p->item_arg, item);
}

static void on_told(void *arg, const char *error)
{
    struct pass_page *page = arg;
    struct pass *p = page->owner;
    in_hand_told(&p->in_hand, page);
    if (p->freed) {
        free_told(p);
        return;
    }
    /* Harmless: spent entries are forgotten when they come due. A daemon has said it otherwise. */
    if (error != NULL) {
        log_event(p->refused || parts_degraded(p->options.parts) ? LOG_DEBUG : LOG_WARN,
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
    struct parts *parts = p->options.parts;
    struct pass_page *page = in_hand_back(&p->in_hand, work);
    p->heard_us = clock_mono_us();
    account_decided(parts, work->items, work->n, server_clock_now_us(&parts->pg_clock));
    for (size_t i = 0; i < work->n; i++)
        take_item(p, &work->items[i]);
    if (drop_inactive(parts, work->items, work->n, on_told, page))
        in_hand_tell(&p->in_hand, page);
    if (kept_page_tell(parts, work->items, work->n, on_told, page))
        in_hand_tell(&p->in_hand, page);
    timer_after_us(p->turn, 0);
}

/* The other lanes go on, to the end; what this one left is the next pass's. */
static void on_lent_slice(void *arg, const struct work *work)
{
    struct pass *p = arg;
    take_decided(p, work);
    p->lane_lost = p->lane_lost || met_loss(work);
}

static void on_own_slice(void *arg, const struct work *work)
{
    struct pass *p = arg;
    on_lent_slice(p, work);
    if (p->lane_lost && p->options.shared == NULL)
        fail(p, LOST);
}

/* ---- its course ---- */

static void finish(struct pass *p)
{
    in_hand_let_go(&p->in_hand, true);
    p->running = false;
    if (p->lane_lost) {
        p->result.lost = true;
        fail(p, LOST);
    }
    p->result.ok = p->error[0] == '\0';
    p->result.error = p->error;
    p->done(p->arg, &p->result);
}

const char *pass_oldest(const struct pass *p, int64_t *since_us)
{
    return in_hand_oldest(&p->in_hand, since_us);
}

int64_t pass_heard_us(const struct pass *p)
{
    return p->heard_us;
}

/* Nobody has taken what there is to do. */
static void wait_for_lanes(struct pass *p)
{
    bool others = in_hand_waiting(&p->in_hand) > 0 && use_lent(p);
    bool shared = p->options.shared != NULL && pg_link_up(p->options.links[0]) &&
                  statements_ready(p->options.parts->statements);
    if (others || shared) { /* they have other work: what was claimed before, say */
        timer_after_us(p->turn, LANES_US);
        return;
    }
    p->result.lost = statements_ready(p->options.parts->statements);
    fail(p, p->result.lost ? LOST : "the statements have to be made anew");
    finish(p);
}

static void advance(void *arg)
{
    struct pass *p = arg;
    if (!p->running)
        return;
    in_hand_let_go(&p->in_hand, false);
    obey_pause(p);
    if (!p->stopping) {
        engine_poke(p->engine);
        if (use_lent(p))
            engine_poke(p->options.lent);
    }
    if (p->asked || p->in_hand.slices > 0 || p->in_hand.telling > 0)
        return;
    if (p->stopping || (p->last && p->in_hand.n == 0))
        finish(p);
    else
        wait_for_lanes(p);
}

void pass_run(struct pass *p, int64_t min_overdue_us,
              void (*done)(void *arg, const struct pass_result *result), void *arg)
{
    assert(!p->running);
    left_clear(&p->in_hand.left);
    p->running = true;
    p->stopping = p->asked = p->last = p->lane_lost = false;
    p->error[0] = '\0';
    memset(&p->result, 0, sizeof(p->result));
    p->done = done;
    p->arg = arg;
    p->placed = statements_ready(p->options.parts->statements) && !p->options.parts->careful &&
                mapping_allows_backlog(statements_types(p->options.parts->statements));
    pages_begin(p->pages, PAGES_FROM_START, -min_overdue_us,
                pass_page_first(p->options.parts->config, p->placed), PAGES_SIZE_MAX);
    if (p->placed)
        pages_want_places(p->pages);
    timer_after_us(p->turn, 0);
}
