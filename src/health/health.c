/* What is known of how the sweep is doing, kept fresh at little cost.
 *
 * Nothing here waits for a server: what health_read tells has come along with claims and polls, or
 * was asked for by the tick, once a second. What is decided of it (the verdict, when to ask) is
 * pure, in health_verdict.c; health_report.c makes JSON of a report, health_metrics.c the metrics.
 */
#include "health/health_private.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "feed/feed.h"
#include "feed/overdue.h"
#include "health/clock_watch.h"
#include "health/health_verdict.h"
#include "link/loop.h"
#include "link/redis_finder.h"
#include "link/redis_link.h"
#include "queue/redis_use.h"
#include "queue/repair.h"
#include "release/blockers.h"
#include "release/first_run.h"
#include "release/keeps.h"
#include "release/locked.h"
#include "release/parts.h"
#include "store/statements.h"
#include "sweep/sweeper.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool redis_up(const struct health *h)
{
    return redis_link_state(h->options.parts->redis) == REDIS_LINK_UP;
}

/* Postgres's time of the earliest entry that Redis knows of; 0: none. */
static int64_t head_us(const struct parts *s)
{
    return s->sizes_us == 0 || s->sizes.next_ms > INT64_MAX / MS_US ? 0 : s->sizes.next_ms * MS_US;
}

static void on_sizes(void *arg, const struct due_sizes *sizes, const char *error)
{
    struct health *h = arg;
    h->asking_sizes = false;
    if (error != NULL)
        return;
    parts_note_sizes(h->options.parts, sizes, h->sizes_asked_us, clock_mono_us());
}

static void on_failures(void *arg, const char *cursor, const struct due_found *found, size_t n,
                        const char *error)
{
    struct health *h = arg;
    (void)cursor;
    h->asking_failures = false;
    if (error != NULL)
        return;
    json_decref(h->failures);
    h->failures = health_failures(found, n);
}

/* Claims bring the sizes along; while there are none (Postgres is out of reach, a batch takes
 * long) somebody else may be releasing what we last saw. */
static void refresh_sizes(struct health *h, int64_t now_us)
{
    const struct parts *s = h->options.parts;
    int64_t postgres_us = server_clock_now_us(&s->pg_clock);
    if (h->asking_sizes || !health_wants_sizes(now_us - s->sizes_us, head_us(s), postgres_us))
        return;
    h->sizes_asked_us = now_us;
    h->asking_sizes = due_queue_sizes(s->queue, on_sizes, h) == 0;
}

static void refresh_failures(struct health *h, int64_t now_us)
{
    const struct parts *s = h->options.parts;
    if (s->sizes.failed == 0) {
        json_decref(h->failures);
        h->failures = NULL;
        h->failures_of = 0;
    }
    if (h->asking_failures ||
        !health_wants_failures(h->failures_of, now_us - h->failures_us, s->sizes.failed))
        return;
    h->failures_us = now_us;
    h->failures_of = s->sizes.failed;
    h->asking_failures = due_queue_walk(s->queue, DUE_IN_FAILED, "0", on_failures, h) == 0;
}

static void watch_clocks(struct health *h)
{
    const struct parts *s = h->options.parts;
    if (s->pg_clock.known)
        clock_watch_note(h->options.postgres_clock, server_clock_host_offset_us(&s->pg_clock));
    if (s->redis_clock.known)
        clock_watch_note(h->options.redis_clock, server_clock_host_offset_us(&s->redis_clock));
}

static void on_tick(void *arg)
{
    struct health *h = arg;
    int64_t now_us = clock_mono_us();
    watch_clocks(h);
    if (parts_redis_usable(h->options.parts)) {
        refresh_sizes(h, now_us);
        refresh_failures(h, now_us);
    }
    timer_after_us(h->tick, HEALTH_TICK_US);
}

struct health *health_new(const struct health_options *options)
{
    struct health *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return NULL;
    h->options = *options;
    h->began_us = clock_mono_us();
    h->tick = timer_new(options->parts->loop, on_tick, h);
    if (h->tick == NULL) {
        health_free(h);
        return NULL;
    }
    timer_after_us(h->tick, HEALTH_TICK_US);
    return h;
}

void health_free(struct health *h)
{
    if (h == NULL)
        return;
    timer_free(h->tick);
    json_decref(h->failures);
    json_decref(h->lockeds);
    free(h);
}

void health_stopping(struct health *h)
{
    h->stopping = true;
}

void health_reconciled(struct health *h, const struct reconcile_result *result)
{
    h->reconciled = true;
    h->reconcile = *result;
    h->reconcile.error = "";
}

static void read_overdue(const struct health *h, struct health_report *r)
{
    struct overdue_view view;
    feed_overdue(h->options.feed, &view);
    r->overdue_known = view.known;
    r->overdue_unknown = view.why;
    if (view.why[0] == '\0' && !statements_ready(h->options.parts->statements))
        r->overdue_unknown = "what the tables are like has not been read yet";
    r->silent_us = view.silent_us;
    r->overdue_since_us = view.since_us;
    r->overdue_id = view.id;
    r->overdue_product = view.product;
}

static void read_locked(struct health *h, struct health_report *r)
{
    const struct locked *l = h->options.parts->locked;
    int64_t now_us = clock_mono_us();
    int64_t waits_us = blockers_standby_wait_us(h->options.parts->blockers);
    r->standby_wait_us = waits_us > 0 ? now_us - waits_us : 0;
    r->locked = locked_count(l);
    r->locked_known = r->locked > 0 || r->overdue_known;
    if (r->locked == 0)
        return;
    json_decref(h->lockeds);
    h->lockeds = health_lockeds(l, now_us, r->now_us);
    r->lockeds = h->lockeds;
    r->locked_us = now_us - locked_since_us(l);
}

static void read_servers(const struct health *h, struct health_report *r)
{
    const struct parts *s = h->options.parts;
    r->postgres = (struct health_server){
        .address = *h->options.postgres,
        .clock_known = s->pg_clock.known,
        .clock_offset_us = server_clock_host_offset_us(&s->pg_clock),
        .host = s->postgres.home != NULL ? s->postgres.home->server : NULL,
    };
    health_postgres(&r->postgres, sweeper_postgres_up(h->options.sweeper),
                    sweeper_postgres_error(h->options.sweeper),
                    feed_postgres_error(h->options.feed));
    r->redis = (struct health_server){
        .address = *h->options.redis,
        .up = redis_up(h),
        .error = redis_finder_reason(s->finder, redis_link_last_error(s->redis)),
        .where = redis_finder_where(s->finder),
        .clock_known = s->redis_clock.known,
        .clock_offset_us = server_clock_host_offset_us(&s->redis_clock),
    };
}

/* Redis knows of all sweepers' work; without it this process knows of its own. */
static void read_kept(const struct health *h, struct health_report *r)
{
    const struct parts *s = h->options.parts;
    size_t attention, kept = keeps_count(s->keeps, &attention);
    r->kept_known = r->sizes_known || r->degraded;
    r->kept = r->sizes_known ? s->sizes.kept : (int64_t)kept;
    r->attention = r->sizes_known ? s->sizes.attention : (int64_t)attention;
}

void health_read(struct health *h, struct health_report *r)
{
    const struct parts *s = h->options.parts;
    memset(r, 0, sizeof(*r));
    r->queue = h->options.queue;
    read_servers(h, r);
    r->now_us = server_clock_now_us(&s->pg_clock);
    r->degraded = parts_degraded(s);
    r->degraded_reason = redis_use_reason(s->redis_use);
    r->sizes_known = parts_redis_usable(s) && s->sizes_us > 0;
    if (r->sizes_known) {
        r->pending = s->sizes.pending;
        r->inflight = s->sizes.inflight;
        r->failed = s->sizes.failed;
        r->next_due_us = head_us(s);
        r->failures = h->failures;
    }
    read_kept(h, r);
    read_overdue(h, r);
    read_locked(h, r);
    h->started = h->started || health_has_started(r->overdue_known, s->sizes_us > 0, r->degraded);
    r->starting = health_is_starting(h->started, clock_mono_us() - h->began_us);
    r->stopping = h->stopping;
    r->held = first_run_reason(s->first_run);
    health_judge(r, statements_problem(s->statements));
}
