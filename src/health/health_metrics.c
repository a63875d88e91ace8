/* The body of /metrics. */
#include "health/health_private.h"

#include "base/log.h"
#include "base/metrics.h"
#include "feed/feed.h"
#include "link/pg_link.h"
#include "link/redis_link.h"
#include "release/parts.h"
#include "sweep/sweeper.h"

#include <event2/event.h>

/* What is not known yet has its family, so that it can be found, and no value. */
static void put_if(bool known, struct metrics *m, enum metric_id id, double value)
{
    metrics_family(m, id);
    if (known)
        metrics_value(m, value);
}

static void put_by(struct metrics *m, const char *label, const char *text, double value)
{
    metrics_label(m, label, text);
    metrics_value(m, value);
}

static void put_histogram(struct metrics *m, enum metric_id id, const struct stats_histogram *h)
{
    metrics_family(m, id);
    metrics_histogram(m, h->bounds, h->nbounds, h->counts, h->sum);
}

static void put_reasons(struct metrics *m, const struct stats *s)
{
    static const char *const discards[DISCARD_REASONS] = {
        [DISCARD_INACTIVE] = "committed_or_released",
        [DISCARD_MISSING] = "missing",
        [DISCARD_INVALID] = "invalid",
    };
    static const char *const reschedules[RESCHEDULE_REASONS] = {
        [RESCHEDULE_NOT_DUE] = "not_due",
        [RESCHEDULE_EXTENDED] = "extended",
        [RESCHEDULE_LOCKED] = "locked",
        [RESCHEDULE_FAILED] = "failed",
        [RESCHEDULE_LEASE_EXPIRED] = "lease_expired",
    };
    metrics_family(m, METRIC_DISCARDED);
    for (int i = 0; i < DISCARD_REASONS; i++)
        put_by(m, "reason", discards[i], (double)s->discarded[i]);
    metrics_family(m, METRIC_RESCHEDULED);
    for (int i = 0; i < RESCHEDULE_REASONS; i++)
        put_by(m, "reason", reschedules[i], (double)s->rescheduled[i]);
    metrics_family(m, METRIC_FAILED);
    for (size_t i = 0; i < STATS_SQLSTATES; i++)
        if (s->failed[i].sqlstate[0] != '\0')
            put_by(m, "sqlstate", s->failed[i].sqlstate, (double)s->failed[i].count);
}

static void put_stats(struct metrics *m, const struct stats *s)
{
    metrics_single(m, METRIC_RELEASED, (double)s->released);
    metrics_single(m, METRIC_RELEASED_UNITS, units_real(&s->released_units));
    metrics_single(m, METRIC_RELEASED_WITHOUT_INVENTORY, (double)s->uncounted);
    put_histogram(m, METRIC_LATENESS, &s->lateness_s);
    put_reasons(m, s);
    put_histogram(m, METRIC_BATCH_SECONDS, &s->batch_s);
    put_histogram(m, METRIC_BATCH_SIZE, &s->batch_size);
    metrics_single(m, METRIC_UNKNOWN_COMMITS, (double)s->unknown_commits);
}

static void put_queue(struct metrics *m, const struct health_report *r)
{
    put_if(r->sizes_known, m, METRIC_PENDING, (double)r->pending);
    put_if(r->sizes_known, m, METRIC_INFLIGHT, (double)r->inflight);
    put_if(r->sizes_known, m, METRIC_FAILED_RESERVATIONS, (double)r->failed);
    put_if(r->overdue_known, m, METRIC_OVERDUE, (double)health_overdue_us(r) / 1e6);
    metrics_single(m, METRIC_LOCKED, (double)r->locked);
    metrics_single(m, METRIC_LOCKED_SECONDS, (double)r->locked_us / 1e6);
    metrics_single(m, METRIC_DEGRADED, r->degraded ? 1 : 0);
}

static void put_offset(struct metrics *m, const char *server, const struct health_server *s)
{
    if (s->clock_known)
        put_by(m, "server", server, (double)s->clock_offset_us / 1e6);
}

static void put_servers(struct metrics *m, const struct health *h, const struct health_report *r)
{
    const struct health_options *o = &h->options;
    metrics_single(m, METRIC_FEED_LAST_SUCCESS, (double)feed_last_success_us(o->feed) / 1e6);
    metrics_single(m, METRIC_REDIS_UP, r->redis.up ? 1 : 0);
    metrics_single(m, METRIC_POSTGRES_UP, r->postgres.up ? 1 : 0);
    metrics_family(m, METRIC_CLOCK_OFFSET);
    put_offset(m, "postgres", &r->postgres);
    put_offset(m, "redis", &r->redis);
    metrics_family(m, METRIC_RECONNECTS);
    put_by(m, "server", "postgres",
           (double)(sweeper_postgres_reconnects(o->sweeper) + feed_postgres_reconnects(o->feed)));
    put_by(m, "server", "redis", (double)redis_link_reconnects(o->parts->redis));
}

static void put_reconcile(struct metrics *m, const struct reconcile_result *r, bool known)
{
    const struct {
        enum metric_id id;
        double value;
    } gauges[] = {
        {METRIC_RECONCILE_SUCCESS, r->ok ? 1 : 0},
        {METRIC_RECONCILE_DRY_RUN, r->dry_run ? 1 : 0},
        {METRIC_RECONCILE_TIMESTAMP, (double)r->finished_us / 1e6},
        {METRIC_RECONCILE_DURATION, (double)r->duration_ms / 1e3},
    };
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
        put_if(known, m, gauges[i].id, gauges[i].value);
    for (int i = 0; i < COUNTS; i++)
        if (reconcile_counters[i].metric != METRICS_N)
            put_if(known, m, reconcile_counters[i].metric, (double)r->counts[i]);
}

char *health_metrics(struct health *h, size_t *len)
{
    struct health_report r;
    struct metrics *m = metrics_new();
    if (m == NULL)
        return NULL;
    health_read(h, &r);
    put_stats(m, &h->options.parts->stats);
    put_queue(m, &r);
    put_servers(m, h, &r);
    put_reconcile(m, &h->reconcile, h->reconciled);
    metrics_single(m, METRIC_LOG_DROPPED, (double)log_dropped());
    metrics_family(m, METRIC_BUILD_INFO);
    metrics_label(m, "version", RS_VERSION);
    metrics_label(m, "hiredis", redis_link_library_version());
    metrics_label(m, "libpq", pg_link_library_version());
    metrics_label(m, "libevent", event_get_version());
    metrics_value(m, 1);
    metrics_process(m);
    return metrics_finish(m, len);
}
