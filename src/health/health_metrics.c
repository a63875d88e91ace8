/* The body of /metrics: family by family, and in each the samples of all queues. */
#include "health/health_private.h"

#include "base/log.h"
#include "base/metrics.h"
#include "feed/feed.h"
#include "link/pg_link.h"
#include "link/redis_finder.h"
#include "link/redis_link.h"
#include "release/parts.h"
#include "release/pause_record.h"
#include "sweep/sweeper.h"

#include <assert.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdlib.h>

/* A queue, as it is when the metrics are asked for. */
struct view {
    const struct health *health;
    const struct parts *parts;
    const struct stats *stats;
    struct health_report report;
};

struct views {
    struct metrics *m;
    struct view *list;
    int n;
};

/* Writes what a queue has of a family: none while it is not known. */
typedef void put_samples(struct metrics *m, const struct view *v);

static void put(const struct views *views, enum metric_id id, put_samples *samples)
{
    metrics_family(views->m, id);
    for (int i = 0; i < views->n; i++)
        samples(views->m, &views->list[i]);
}

static void put_value(struct metrics *m, const struct view *v, double value)
{
    metrics_label(m, "queue", v->report.queue);
    metrics_value(m, value);
}

/* What is not known yet has its family, so that it can be found, and no value. */
static void put_if(bool known, struct metrics *m, const struct view *v, double value)
{
    if (known)
        put_value(m, v, value);
}

static void put_by(struct metrics *m, const char *queue, const char *label, const char *text,
                   double value)
{
    metrics_label(m, "queue", queue);
    metrics_label(m, label, text);
    metrics_value(m, value);
}

static void put_histogram(struct metrics *m, const struct view *v, const struct stats_histogram *h)
{
    metrics_label(m, "queue", v->report.queue);
    metrics_histogram(m, h->bounds, h->nbounds, h->counts, h->sum);
}

/* A counter of the stats, which stands there at this place. */
static void put_count(const struct views *views, enum metric_id id, size_t at)
{
    metrics_family(views->m, id);
    for (int i = 0; i < views->n; i++) {
        const void *count = (const char *)views->list[i].stats + at;
        put_value(views->m, &views->list[i], (double)*(const uint64_t *)count);
    }
}

/* ---- what was released, and what was not ---- */

static void released_units(struct metrics *m, const struct view *v)
{
    put_value(m, v, units_real(&v->stats->released_units));
}

static void lateness(struct metrics *m, const struct view *v)
{
    put_histogram(m, v, &v->stats->lateness_s);
}

static void discarded(struct metrics *m, const struct view *v)
{
    static const char *const reasons[DISCARD_REASONS] = {
        [DISCARD_INACTIVE] = "committed_or_released",
        [DISCARD_MISSING] = "missing",
        [DISCARD_INVALID] = "invalid",
    };
    for (int i = 0; i < DISCARD_REASONS; i++)
        put_by(m, v->report.queue, "reason", reasons[i], (double)v->stats->discarded[i]);
}

static void rescheduled(struct metrics *m, const struct view *v)
{
    static const char *const reasons[RESCHEDULE_REASONS] = {
        [RESCHEDULE_NOT_DUE] = "not_due",
        [RESCHEDULE_EXTENDED] = "extended",
        [RESCHEDULE_LOCKED] = "locked",
        [RESCHEDULE_FAILED] = "failed",
        [RESCHEDULE_LEASE_EXPIRED] = "lease_expired",
    };
    for (int i = 0; i < RESCHEDULE_REASONS; i++)
        put_by(m, v->report.queue, "reason", reasons[i], (double)v->stats->rescheduled[i]);
}

static void failed(struct metrics *m, const struct view *v)
{
    for (size_t i = 0; i < STATS_SQLSTATES; i++)
        if (v->stats->failed[i].sqlstate[0] != '\0')
            put_by(m, v->report.queue, "sqlstate", v->stats->failed[i].sqlstate,
                   (double)v->stats->failed[i].count);
}

static void batch_seconds(struct metrics *m, const struct view *v)
{
    put_histogram(m, v, &v->stats->batch_s);
}

static void batch_size(struct metrics *m, const struct view *v)
{
    put_histogram(m, v, &v->stats->batch_size);
}

static void last_release(struct metrics *m, const struct view *v)
{
    put_if(v->stats->last_release_us > 0, m, v, (double)v->stats->last_release_us / 1e6);
}

static void redis_request_seconds(struct metrics *m, const struct view *v)
{
    put_histogram(m, v, &v->stats->redis_request_s);
}

static void put_stats(const struct views *views)
{
    put_count(views, METRIC_RELEASED, offsetof(struct stats, released));
    put(views, METRIC_RELEASED_UNITS, released_units);
    put_count(views, METRIC_RELEASED_WITHOUT_INVENTORY, offsetof(struct stats, uncounted));
    put(views, METRIC_LATENESS, lateness);
    put(views, METRIC_DISCARDED, discarded);
    put(views, METRIC_RESCHEDULED, rescheduled);
    put(views, METRIC_FAILED, failed);
    put(views, METRIC_BATCH_SECONDS, batch_seconds);
    put(views, METRIC_BATCH_SIZE, batch_size);
    put_count(views, METRIC_UNKNOWN_COMMITS, offsetof(struct stats, unknown_commits));
    put(views, METRIC_LAST_RELEASE, last_release);
    put_count(views, METRIC_CLAIMS, offsetof(struct stats, claims));
    put(views, METRIC_REDIS_REQUEST_SECONDS, redis_request_seconds);
}

/* ---- how things stand ---- */

static void next_due(struct metrics *m, const struct view *v)
{
    put_if(v->report.next_due_us > 0, m, v, (double)v->report.next_due_us / 1e6);
}

static void pending(struct metrics *m, const struct view *v)
{
    put_if(v->report.sizes_known, m, v, (double)v->report.pending);
}

static void inflight(struct metrics *m, const struct view *v)
{
    put_if(v->report.sizes_known, m, v, (double)v->report.inflight);
}

static void failed_reservations(struct metrics *m, const struct view *v)
{
    put_if(v->report.sizes_known, m, v, (double)v->report.failed);
}

static void kept(struct metrics *m, const struct view *v)
{
    put_if(v->report.kept_known, m, v, (double)v->report.kept);
}

static void kept_attention(struct metrics *m, const struct view *v)
{
    put_if(v->report.kept_known, m, v, (double)v->report.attention);
}

static void overdue(struct metrics *m, const struct view *v)
{
    put_if(v->report.overdue_known, m, v, (double)health_overdue_us(&v->report) / 1e6);
}

static void locked(struct metrics *m, const struct view *v)
{
    put_value(m, v, (double)v->report.locked);
}

static void locked_seconds(struct metrics *m, const struct view *v)
{
    put_value(m, v, (double)v->report.locked_us / 1e6);
}

static void degraded(struct metrics *m, const struct view *v)
{
    put_value(m, v, v->report.degraded ? 1 : 0);
}

static void paused(struct metrics *m, const struct view *v)
{
    put_value(m, v, v->report.pause != NULL ? 1 : 0);
}

static void paused_until(struct metrics *m, const struct view *v)
{
    const struct pause_record *pause = v->report.pause;
    put_if(pause != NULL, m, v, pause != NULL ? (double)pause->until_ms / 1e3 : 0);
}

static void feed_last_success(struct metrics *m, const struct view *v)
{
    put_value(m, v, (double)feed_last_success_us(v->health->options.feed) / 1e6);
}

static void feeder(struct metrics *m, const struct view *v)
{
    put_value(m, v, feed_is_feeder(v->health->options.feed) ? 1 : 0);
}

static void put_standing(const struct views *views)
{
    put(views, METRIC_NEXT_DUE, next_due);
    put(views, METRIC_PENDING, pending);
    put(views, METRIC_INFLIGHT, inflight);
    put(views, METRIC_FAILED_RESERVATIONS, failed_reservations);
    put(views, METRIC_KEPT, kept);
    put(views, METRIC_KEPT_ATTENTION, kept_attention);
    put(views, METRIC_OVERDUE, overdue);
    put(views, METRIC_LOCKED, locked);
    put(views, METRIC_LOCKED_SECONDS, locked_seconds);
    put(views, METRIC_DEGRADED, degraded);
    put(views, METRIC_PAUSED, paused);
    put(views, METRIC_PAUSED_UNTIL, paused_until);
    put(views, METRIC_FEED_LAST_SUCCESS, feed_last_success);
    put(views, METRIC_FEEDER, feeder);
}

/* ---- the servers: Redis is of all queues ---- */

#define NO_QUEUE "" /* to Prometheus the same as no label */

static void postgres_up(struct metrics *m, const struct view *v)
{
    put_value(m, v, v->report.postgres.up ? 1 : 0);
}

static void put_offset(struct metrics *m, const char *queue, const char *server,
                       const struct health_server *s)
{
    if (s->clock_known)
        put_by(m, queue, "server", server, (double)s->clock_offset_us / 1e6);
}

static void postgres_offset(struct metrics *m, const struct view *v)
{
    put_offset(m, v->report.queue, "postgres", &v->report.postgres);
}

static void postgres_reconnects(struct metrics *m, const struct view *v)
{
    const struct health_options *o = &v->health->options;
    put_by(m, v->report.queue, "server", "postgres",
           (double)(sweeper_postgres_reconnects(o->sweeper) + feed_postgres_reconnects(o->feed)));
}

static void redis_node(struct metrics *m, const struct view *v)
{
    const struct redis_where *w = redis_finder_where(v->parts->finder);
    if (!v->report.redis.up)
        return;
    metrics_label(m, "queue", v->report.queue);
    metrics_label(m, "node", w->node);
    metrics_label(m, "role", w->role);
    metrics_label(m, "service", w->service);
    metrics_value(m, 1);
}

static void put_redis(const struct views *views)
{
    bool up = true;
    for (int i = 0; i < views->n; i++)
        up = up && views->list[i].report.redis.up;
    metrics_single(views->m, METRIC_REDIS_UP, up ? 1 : 0);
    put(views, METRIC_REDIS_NODE, redis_node);
}

static uint64_t redis_reconnects(const struct views *views)
{
    uint64_t n = 0;
    for (int i = 0; i < views->n; i++)
        n += redis_link_reconnects(views->list[i].parts->redis);
    return n;
}

static void put_servers(const struct views *views)
{
    const struct view *any = &views->list[0];
    put_redis(views);
    put(views, METRIC_POSTGRES_UP, postgres_up);
    put(views, METRIC_CLOCK_OFFSET, postgres_offset);
    put_offset(views->m, NO_QUEUE, "redis", &any->report.redis);
    put(views, METRIC_RECONNECTS, postgres_reconnects);
    put_by(views->m, NO_QUEUE, "server", "redis", (double)redis_reconnects(views));
}

/* ---- the last reconciliation ---- */

static void reconcile_success(struct metrics *m, const struct view *v)
{
    put_if(v->health->reconciled, m, v, v->health->reconcile.ok ? 1 : 0);
}

static void reconcile_dry_run(struct metrics *m, const struct view *v)
{
    put_if(v->health->reconciled, m, v, v->health->reconcile.dry_run ? 1 : 0);
}

static void reconcile_timestamp(struct metrics *m, const struct view *v)
{
    put_if(v->health->reconciled, m, v, (double)v->health->reconcile.finished_us / 1e6);
}

static void reconcile_duration(struct metrics *m, const struct view *v)
{
    put_if(v->health->reconciled, m, v, (double)v->health->reconcile.duration_ms / 1e3);
}

static void put_reconcile(const struct views *views)
{
    put(views, METRIC_RECONCILE_SUCCESS, reconcile_success);
    put(views, METRIC_RECONCILE_DRY_RUN, reconcile_dry_run);
    put(views, METRIC_RECONCILE_TIMESTAMP, reconcile_timestamp);
    put(views, METRIC_RECONCILE_DURATION, reconcile_duration);
    for (int i = 0; i < COUNTS; i++) {
        if (reconcile_counters[i].metric == METRICS_N)
            continue;
        metrics_family(views->m, reconcile_counters[i].metric);
        for (int j = 0; j < views->n; j++) {
            const struct view *v = &views->list[j];
            const struct reconcile_result *r = &v->health->reconcile;
            put_if(v->health->reconciled && reconcile_counted(r, (enum reconcile_count)i), views->m,
                   v, (double)r->counts[i]);
        }
    }
}

static void put_process(struct metrics *m)
{
    metrics_single(m, METRIC_LOG_DROPPED, (double)log_dropped());
    metrics_family(m, METRIC_BUILD_INFO);
    metrics_label(m, "version", RS_VERSION);
    metrics_label(m, "hiredis", redis_link_library_version());
    metrics_label(m, "libpq", pg_link_library_version());
    metrics_label(m, "libevent", event_get_version());
    metrics_value(m, 1);
    metrics_process(m);
}

char *health_metrics(struct health *const *queues, int n, size_t *len)
{
    struct views views = {metrics_new(), calloc((size_t)n, sizeof(struct view)), n};
    char *text = NULL;
    assert(n > 0);
    if (views.m == NULL || views.list == NULL) {
        metrics_free(views.m);
        free(views.list);
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        const struct parts *parts = queues[i]->options.parts;
        views.list[i] = (struct view){.health = queues[i], .parts = parts, .stats = &parts->stats};
        health_read(queues[i], &views.list[i].report);
    }
    put_stats(&views);
    put_standing(&views);
    put_servers(&views);
    put_reconcile(&views);
    put_process(views.m);
    text = metrics_finish(views.m, len);
    free(views.list);
    return text;
}
