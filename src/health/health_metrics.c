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

#define PREFIX "reservation_sweeper_"

static void put(struct metrics *m, const char *name, enum metrics_type type, const char *help,
                double value)
{
    metrics_family(m, name, type, help);
    metrics_value(m, value);
}

/* What is not known yet has its family, so that it can be found, and no value. */
static void put_gauge_if(bool known, struct metrics *m, const char *name, const char *help,
                         double value)
{
    metrics_family(m, name, METRICS_GAUGE, help);
    if (known)
        metrics_value(m, value);
}

static void put_by(struct metrics *m, const char *label, const char *text, double value)
{
    metrics_label(m, label, text);
    metrics_value(m, value);
}

static void put_histogram(struct metrics *m, const char *name, const char *help,
                          const struct stats_histogram *h)
{
    metrics_family(m, name, METRICS_HISTOGRAM, help);
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
    metrics_family(m, PREFIX "discarded_total", METRICS_COUNTER,
                   "Reservations claimed with nothing to do.");
    for (int i = 0; i < DISCARD_REASONS; i++)
        put_by(m, "reason", discards[i], (double)s->discarded[i]);
    metrics_family(m, PREFIX "rescheduled_total", METRICS_COUNTER,
                   "Reservations put back, to be looked at again.");
    for (int i = 0; i < RESCHEDULE_REASONS; i++)
        put_by(m, "reason", reschedules[i], (double)s->rescheduled[i]);
    metrics_family(m, PREFIX "failed_total", METRICS_COUNTER, "Releases that Postgres refused.");
    for (size_t i = 0; i < STATS_SQLSTATES; i++)
        if (s->failed[i].sqlstate[0] != '\0')
            put_by(m, "sqlstate", s->failed[i].sqlstate, (double)s->failed[i].count);
}

static void put_stats(struct metrics *m, const struct stats *s)
{
    put(m, PREFIX "released_total", METRICS_COUNTER, "Reservations released.", (double)s->released);
    put(m, PREFIX "released_units_total", METRICS_COUNTER, "Stock units given back.",
        units_real(&s->released_units));
    put(m, PREFIX "released_without_inventory_total", METRICS_COUNTER,
        "Rows released whose product has no inventory row.", (double)s->uncounted);
    put_histogram(m, PREFIX "lateness_seconds",
                  "From a reservation's expiry to its release, by Postgres's clock.",
                  &s->lateness_s);
    put_reasons(m, s);
    put_histogram(m, PREFIX "batch_seconds", "Duration of one release transaction.", &s->batch_s);
    put_histogram(m, PREFIX "batch_size", "Reservations in one release transaction.",
                  &s->batch_size);
    put(m, PREFIX "unknown_commits_total", METRICS_COUNTER,
        "Reservations in batches whose COMMIT had no answer.", (double)s->unknown_commits);
}

static void put_queue(struct metrics *m, const struct health_report *r)
{
    put_gauge_if(r->sizes_known, m, PREFIX "pending_reservations", "Reservations waiting in Redis.",
                 (double)r->pending);
    put_gauge_if(r->sizes_known, m, PREFIX "inflight_reservations",
                 "Reservations claimed by a sweeper.", (double)r->inflight);
    put_gauge_if(r->sizes_known, m, PREFIX "failed_reservations",
                 "Reservations whose release Postgres refused.", (double)r->failed);
    put_gauge_if(r->overdue_known, m, PREFIX "overdue_seconds",
                 "Age of the oldest reservation that should be released by now, without failed and "
                 "locked ones; no value while it is not known.",
                 (double)health_overdue_us(r) / 1e6);
    put(m, PREFIX "locked_reservations", METRICS_GAUGE,
        "Reservations to be released that others hold locked.", (double)r->locked);
    put(m, PREFIX "locked_seconds", METRICS_GAUGE,
        "For how long the oldest of those has been found locked.", (double)r->locked_us / 1e6);
    put(m, PREFIX "degraded", METRICS_GAUGE, "1 while releases go on without Redis.",
        r->degraded ? 1 : 0);
}

static void put_offset(struct metrics *m, const char *server, const struct health_server *s)
{
    if (s->clock_known)
        put_by(m, "server", server, (double)s->clock_offset_us / 1e6);
}

static void put_servers(struct metrics *m, const struct health *h, const struct health_report *r)
{
    const struct health_options *o = &h->options;
    put(m, PREFIX "feed_last_success_timestamp_seconds", METRICS_GAUGE,
        "When the feed last looked with success, by Postgres's clock; 0: not yet.",
        (double)feed_last_success_us(o->feed) / 1e6);
    put(m, PREFIX "redis_up", METRICS_GAUGE, "1 while Redis is connected.", r->redis.up ? 1 : 0);
    put(m, PREFIX "postgres_up", METRICS_GAUGE, "1 while Postgres is connected.",
        r->postgres.up ? 1 : 0);
    metrics_family(m, PREFIX "clock_offset_seconds", METRICS_GAUGE,
                   "A server's clock against this host's.");
    put_offset(m, "postgres", &r->postgres);
    put_offset(m, "redis", &r->redis);
    metrics_family(m, PREFIX "reconnects_total", METRICS_COUNTER,
                   "Connections made after the first.");
    put_by(m, "server", "postgres",
           (double)(sweeper_postgres_reconnects(o->sweeper) + feed_postgres_reconnects(o->feed)));
    put_by(m, "server", "redis", (double)redis_link_reconnects(o->parts->redis));
}

static void put_reconcile(struct metrics *m, const struct reconcile_result *r, bool known)
{
    const struct {
        const char *name, *help;
        double value;
    } gauges[] = {
        {PREFIX "reconcile_success", "1 when the last reconciliation came to its end.",
         r->ok ? 1 : 0},
        {PREFIX "reconcile_dry_run", "1 when the last reconciliation was a dry run.",
         r->dry_run ? 1 : 0},
        {PREFIX "reconcile_timestamp_seconds", "When the last reconciliation ended.",
         (double)r->finished_us / 1e6},
        {PREFIX "reconcile_duration_seconds", "How long the last reconciliation took.",
         (double)r->duration_ms / 1e3},
        {PREFIX "reconcile_released", "Expired reservations it released.", (double)r->released},
        {PREFIX "reconcile_mirror_missing", "Active reservations it missed in Redis.",
         (double)r->missing},
        {PREFIX "reconcile_mirror_misplaced", "Entries of Redis it found at a later time.",
         (double)r->misplaced},
        {PREFIX "reconcile_mirror_orphaned", "Entries of Redis it found without a reservation.",
         (double)r->orphaned},
        {PREFIX "reconcile_mirror_spent", "Entries of Redis that wait for nothing.",
         (double)r->spent},
        {PREFIX "reconcile_leases_expired", "Leases it found expired.", (double)r->leases_expired},
        {PREFIX "reconcile_stock_checked", "Stock counters it compared.", (double)r->stock_checked},
        {PREFIX "reconcile_stock_drifted", "Stock counters it found drifted.",
         (double)r->stock_drifted},
        {PREFIX "reconcile_stock_repaired", "Stock counters it repaired.",
         (double)r->stock_repaired},
        {PREFIX "reconcile_remaining", "Inconsistencies it left.", (double)r->remaining},
    };
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
        put_gauge_if(known, m, gauges[i].name, gauges[i].help, gauges[i].value);
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
    put(m, PREFIX "log_records_dropped_total", METRICS_COUNTER,
        "Log records that nobody read in time.", (double)log_dropped());
    metrics_family(m, PREFIX "build_info", METRICS_GAUGE, "1; what this program is made of.");
    metrics_label(m, "version", RS_VERSION);
    metrics_label(m, "hiredis", redis_link_library_version());
    metrics_label(m, "libpq", pg_link_library_version());
    metrics_label(m, "libevent", event_get_version());
    metrics_value(m, 1);
    metrics_process(m);
    return metrics_finish(m, len);
}
