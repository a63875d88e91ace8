/* The workers: the connections that release. */
#include "sweep/workers.h"

#include "base/clock.h"
#include "config/config.h"
#include "link/pg_link.h"
#include "release/engine.h"
#include "release/parts.h"
#include "store/pg_watch.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>

struct worker {
    struct workers *all;
    int lane;
};

struct workers {
    struct parts *parts;
    struct engine *engine;
    event_cb *on_change;
    void *arg;
    int n; /* 0: disconnected for good */
    struct worker workers[ENGINE_LANES_MAX];
    struct pg_link *links[ENGINE_LANES_MAX];
};

static void rest(const struct worker *w)
{
    engine_rest(w->all->engine, w->lane, WORKERS_FAULT_REST_US);
}

static void on_statements(void *arg, const char *error)
{
    const struct worker *w = arg;
    if (!pg_link_up(w->all->links[w->lane])) /* says nothing of the database: asked again when it is
                                                back */
        return;
    parts_note_catalog(w->all->parts);
    if (error != NULL)
        rest(w);
    engine_poke(w->all->engine);
}

/* Whoever comes first reads the catalog for all, when that is due. */
static void ensure_statements(struct worker *w)
{
    struct parts *parts = w->all->parts;
    struct pg_link *link = w->all->links[w->lane];
    if (!pg_link_up(link) || pg_link_busy(link) || !engine_quiet(w->all->engine, w->lane) ||
        statements_due_us(parts->statements) > clock_mono_us())
        return;
    if (statements_load(parts->statements, link, &parts->pg_clock, on_statements, w) != 0)
        rest(w);
}

static void on_pg_state(void *arg, bool up, const char *reason)
{
    struct worker *w = arg;
    pg_watch_link(w->all->parts->pg_watch, w->lane + 1, up, reason);
    if (up) { /* the tables may have been changed meanwhile */
        statements_doubt(w->all->parts->statements);
        ensure_statements(w);
    }
    engine_poke(w->all->engine);
}

/* A rest is over, say. */
static void on_change(void *arg)
{
    struct workers *w = arg;
    for (int i = 0; i < w->n; i++)
        ensure_statements(&w->workers[i]);
    w->on_change(w->arg);
}

static struct pg_link *make_link(struct worker *w)
{
    char name[64];
    snprintf(name, sizeof(name), "reservation-sweeper worker %d", w->lane + 1);
    const struct pg_link_options options = {
        .source = w->all->parts->postgres,
        .prepare = w->all->parts->config->prepare,
        .application_name = name,
        .on_state = on_pg_state,
        .arg = w,
    };
    return pg_link_new(w->all->parts->loop, &options);
}

struct workers *workers_new(struct parts *parts, event_cb *changed, void *arg)
{
    struct workers *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->parts = parts;
    w->on_change = changed;
    w->arg = arg;
    for (; w->n < parts->config->workers; w->n++) {
        w->workers[w->n] = (struct worker){w, w->n};
        w->links[w->n] = make_link(&w->workers[w->n]);
        if (w->links[w->n] == NULL)
            goto fail;
    }
    w->engine = engine_new(parts, w->links, w->n, on_change, w);
    if (w->engine == NULL)
        goto fail;
    engine_allow_no_wait(w->engine);
    return w;
fail:
    workers_free(w);
    return NULL;
}

void workers_start(struct workers *w)
{
    for (int i = 0; i < w->n; i++)
        pg_link_start(w->links[i]);
}

void workers_disconnect(struct workers *w)
{
    for (int i = 0; i < w->n; i++) {
        pg_link_free(w->links[i]);
        w->links[i] = NULL;
    }
    w->n = 0;
}

void workers_free(struct workers *w)
{
    if (w == NULL)
        return;
    workers_disconnect(w);
    engine_free(w->engine);
    free(w);
}

struct engine *workers_engine(const struct workers *w)
{
    return w->engine;
}

struct pg_link *const *workers_links(const struct workers *w, int *n)
{
    *n = w->n;
    return w->links;
}

bool workers_can_read(const struct workers *w)
{
    return w->n > 0 && pg_link_up(w->links[0]);
}

void workers_follow_postgres(struct workers *w)
{
    for (int i = 0; i < w->n; i++)
        pg_link_follow(w->links[i]);
}

bool workers_up(const struct workers *w)
{
    for (int i = 0; i < w->n; i++)
        if (pg_link_up(w->links[i]))
            return true;
    return false;
}

uint64_t workers_reconnects(const struct workers *w)
{
    uint64_t total = 0;
    for (int i = 0; i < w->n; i++)
        total += pg_link_reconnects(w->links[i]);
    return total;
}

const char *workers_error(const struct workers *w)
{
    return w->n > 0 ? pg_link_last_error(w->links[0]) : "";
}
