/* Lanes, and what gives them batches: see engine.h. */
#include "release/engine.h"

#include "link/loop.h"
#include "link/pg_link.h"
#include "release/batch.h"
#include "release/parts.h"
#include "release/pause.h"
#include "store/statements.h"

#include <assert.h>
#include <stdlib.h>

struct lane {
    struct engine *engine;
    struct pg_link *link;
    struct batch *batch;
    struct timer *rest;          /* armed: it takes nothing */
    const struct source *source; /* whose work it has; NULL: none */
    struct work work;
};

struct engine {
    struct parts *parts;
    struct lane *lanes;
    int n;
    TAILQ_HEAD(, source) sources;
    event_cb *on_change;
    void *arg;
};

static bool can_release(const struct lane *lane)
{
    const struct parts *parts = lane->engine->parts;
    return pg_link_up(lane->link) && !timer_armed(lane->rest) &&
           statements_ready(parts->statements) && pause_allows(parts->pause);
}

/* Its link may be busy with the catalog. */
static bool is_free(const struct lane *lane)
{
    return lane->source == NULL && can_release(lane) && !pg_link_busy(lane->link);
}

static void on_batch(void *arg)
{
    struct lane *lane = arg;
    const struct source *source = lane->source;
    const struct work work = lane->work;
    assert(source != NULL);
    lane->source = NULL;
    source->done(source->arg, &work);
    engine_poke(lane->engine);
}

static void give_work(struct engine *e, struct lane *lane)
{
    const struct source *source;
    TAILQ_FOREACH(source, &e->sources, others)
    {
        struct work work = {.items = NULL, .lane = (int)(lane - e->lanes)};
        if (!source->take(source->arg, &work)) {
            if (pg_link_busy(lane->link)) /* it asks something itself */
                return;
            continue;
        }
        assert(work.items != NULL && work.n > 0);
        lane->source = source;
        lane->work = work;
        batch_run(lane->batch, work.items, work.n, work.bulk, on_batch, lane);
        return;
    }
}

void engine_poke(struct engine *e)
{
    for (int i = 0; i < e->n; i++)
        if (is_free(&e->lanes[i]))
            give_work(e, &e->lanes[i]);
    if (e->on_change != NULL)
        e->on_change(e->arg);
}

static void on_rest_over(void *arg)
{
    const struct lane *lane = arg;
    engine_poke(lane->engine);
}

/* False: out of memory. */
static bool lane_begin(struct lane *lane, struct engine *e, struct pg_link *link)
{
    lane->engine = e;
    lane->link = link;
    lane->batch = parts_batch_new(e->parts, link);
    lane->rest = timer_new(e->parts->loop, on_rest_over, lane);
    return lane->batch != NULL && lane->rest != NULL;
}

struct engine *engine_new(struct parts *parts, struct pg_link *const *links, int n,
                          event_cb *on_change, void *arg)
{
    assert(n >= 1 && n <= ENGINE_LANES_MAX);
    struct engine *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return NULL;
    e->parts = parts;
    e->on_change = on_change;
    e->arg = arg;
    TAILQ_INIT(&e->sources);
    e->lanes = calloc((size_t)n, sizeof(*e->lanes));
    if (e->lanes == NULL)
        goto fail;
    e->n = n;
    for (int i = 0; i < n; i++)
        if (!lane_begin(&e->lanes[i], e, links[i]))
            goto fail;
    return e;
fail:
    engine_free(e);
    return NULL;
}

void engine_allow_no_wait(struct engine *e)
{
    for (int i = 0; i < e->n; i++)
        batch_allow_no_wait(e->lanes[i].batch);
}

void engine_free(struct engine *e)
{
    if (e == NULL)
        return;
    for (int i = 0; i < e->n; i++) {
        batch_free(e->lanes[i].batch);
        timer_free(e->lanes[i].rest);
    }
    free(e->lanes);
    free(e);
}

void engine_add(struct engine *e, struct source *source)
{
    assert(source->take != NULL && source->done != NULL);
    TAILQ_INSERT_TAIL(&e->sources, source, others);
}

void engine_remove(struct engine *e, struct source *source)
{
    TAILQ_REMOVE(&e->sources, source, others);
    for (int i = 0; i < e->n; i++)
        if (e->lanes[i].source == source)
            e->lanes[i].source = NULL;
}

void engine_rest(struct engine *e, int lane, int64_t us)
{
    assert(lane >= 0 && lane < e->n);
    timer_after_us(e->lanes[lane].rest, us);
}

bool engine_quiet(const struct engine *e, int lane)
{
    assert(lane >= 0 && lane < e->n);
    return e->lanes[lane].source == NULL && !timer_armed(e->lanes[lane].rest);
}

int engine_usable(const struct engine *e)
{
    int n = 0;
    for (int i = 0; i < e->n; i++)
        n += can_release(&e->lanes[i]) ? 1 : 0;
    return n;
}

int engine_idle(const struct engine *e)
{
    int n = 0;
    for (int i = 0; i < e->n; i++)
        n += is_free(&e->lanes[i]) ? 1 : 0;
    return n;
}
