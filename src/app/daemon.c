/* The daemon: wires Redis, sweeper and feed together and runs until a signal. */
#include "app/context.h"
#include "app/http_routes.h"
#include "app/modes.h"
#include "app/notify.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/secrets.h"
#include "feed/feed.h"
#include "health/health.h"
#include "link/loop.h"
#include "queue/redis_use.h"
#include "release/refusal_log.h"
#include "store/pg_watch.h"
#include "sweep/sweeper.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define REPORT_US MINUTE_US

struct service {
    struct context context;
    const struct config *config;
    struct sweeper *sweeper;
    struct feed *feed;
    struct health *health;
    struct http_routes *http; /* NULL: none is wanted */
    struct notify *notify;    /* NULL: nobody asks */
    struct timer *grace;      /* an orderly stop's end */
    struct timer *report;     /* what was released, now and then */
    uint64_t reported;        /* released up to the last report */
    bool redis_seen;
    bool stopping, abandoned;
    int waiting_for; /* sweeper, feed and what POST started, while stopping */
    int status;
};

static void end(struct service *s, int status)
{
    s->status = status;
    loop_stop(s->context.parts.loop);
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    struct service *s = arg;
    if (state == REDIS_LINK_UP) {
        const char *unusable = context_redis_unusable(&s->context);
        if (unusable != NULL && !s->redis_seen) {
            log_event(LOG_ERROR, unusable, LOG_STR, "redis", s->context.redis, LOG_END);
            log_plain(unusable);
            end(s, EXIT_USAGE);
            return;
        }
        s->redis_seen = true;
    }
    redis_use_link(s->context.parts.redis_use, state, reason);
}

static void on_redis_use(void *arg)
{
    struct service *s = arg;
    feed_redis_changed(s->feed);
    sweeper_redis_changed(s->sweeper);
}

static void on_mirrored(void *arg, int64_t earliest_ms)
{
    struct service *s = arg;
    sweeper_expect(s->sweeper, earliest_ms);
}

static void on_statements(void *arg)
{
    struct service *s = arg;
    sweeper_statements_made(s->sweeper);
}

static void on_part_stopped(void *arg)
{
    struct service *s = arg;
    if (--s->waiting_for == 0)
        end(s, EXIT_DONE);
}

/* The last quarter of the grace is for handing back what has no answer. */
static void on_grace_over(void *arg)
{
    struct service *s = arg;
    if (s->abandoned) {
        log_event(LOG_WARN, "The shutdown grace is over; leases cover what is in flight", LOG_END);
        end(s, EXIT_DONE);
        return;
    }
    s->abandoned = true;
    sweeper_abandon(s->sweeper);
    timer_after_us(s->grace, s->config->shutdown_grace_us / 4);
}

static void on_signal(void *arg)
{
    struct service *s = arg;
    if (s->stopping) {
        log_event(LOG_ERROR, "Stopped at once by a second signal; leases cover what is in flight",
                  LOG_END);
        end(s, EXIT_FAILED);
        return;
    }
    s->stopping = true;
    log_event(LOG_INFO, "Stopping", LOG_END);
    s->waiting_for = s->http != NULL ? 3 : 2;
    health_stopping(s->health);
    notify_stopping(s->notify);
    timer_after_us(s->grace, s->config->shutdown_grace_us * 3 / 4);
    feed_stop(s->feed, on_part_stopped, s);
    sweeper_stop(s->sweeper, on_part_stopped, s);
    if (s->http != NULL)
        http_routes_stop(s->http, on_part_stopped, s);
}

/* SIGHUP. Connections stay as they are: the next attempt uses what was read. */
static void on_reload(void *arg)
{
    struct service *s = arg;
    secrets_reload(s->context.secrets);
    log_event(LOG_INFO, "Reloaded", LOG_STR, "read", "secrets' files", LOG_END);
    notify_reloaded(s->notify);
}

static void on_report(void *arg)
{
    struct service *s = arg;
    const struct stats *stats = &s->context.parts.stats;
    if (stats->released > s->reported)
        log_event(LOG_INFO, "Reservations released", LOG_INT, "releasedCount",
                  (int64_t)(stats->released - s->reported), LOG_INT, "releasedTotal",
                  (int64_t)stats->released, LOG_END);
    s->reported = stats->released;
    timer_after_us(s->report, REPORT_US);
}

/* A server out of reach is no reason to restart this program. */
static bool on_notify(void *arg, char *status, size_t size)
{
    struct service *s = arg;
    const struct parts *parts = &s->context.parts;
    struct health_report r;
    health_read(s->health, &r);
    if (!r.ready)
        snprintf(status, size, "Not ready: %s", r.reason);
    else if (r.degraded)
        snprintf(status, size, "On time, without Redis; %llu released",
                 (unsigned long long)parts->stats.released);
    else
        snprintf(status, size, "On time; %lld pending, %lld in flight, %lld failed, %llu released",
                 (long long)r.pending, (long long)r.inflight, (long long)r.failed,
                 (unsigned long long)parts->stats.released);
    return clock_mono_us() < batch_deadline_us(&parts->batches);
}

static int listen_http(struct service *s)
{
    char error[256];
    if (s->config->http_host == NULL)
        return 0;
    s->http =
        http_routes_new(&s->context.parts, s->health, s->context.secrets, error, sizeof(error));
    if (s->http != NULL)
        return 0;
    log_event(LOG_ERROR, "The HTTP address cannot be used", LOG_STR, "host", s->config->http_host,
              LOG_INT, "port", (int64_t)s->config->http_port, LOG_STR, "error", error, LOG_END);
    return -1;
}

static int set_up(struct service *s)
{
    struct parts *parts = &s->context.parts;
    const struct feed_events events = {on_mirrored, on_statements, s};
    const struct redis_use_options use = {.redis = parts->redis,
                                          .queue = parts->queue,
                                          .address = &s->context.redis,
                                          .on_change = on_redis_use,
                                          .arg = s};
    parts->redis_use = redis_use_new(parts->loop, &use);
    parts->pg_watch = pg_watch_new(parts->loop, &s->context.postgres, s->config->workers + 1);
    s->sweeper = sweeper_new(parts);
    if (s->sweeper != NULL)
        s->feed = feed_new(parts, sweeper_engine(s->sweeper), &events);
    s->grace = timer_new(parts->loop, on_grace_over, s);
    s->report = timer_new(parts->loop, on_report, s);
    const struct health_options health = {parts, s->sweeper, s->feed, &s->context.postgres,
                                          &s->context.redis};
    if (s->sweeper != NULL && s->feed != NULL)
        s->health = health_new(&health);
    if (parts->redis_use == NULL || parts->pg_watch == NULL || s->health == NULL ||
        s->grace == NULL || s->report == NULL ||
        loop_on_signal(parts->loop, SIGTERM, on_signal, s) != 0 ||
        loop_on_signal(parts->loop, SIGINT, on_signal, s) != 0 ||
        loop_on_signal(parts->loop, SIGHUP, on_reload, s) != 0) {
        log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
        return -1;
    }
    return listen_http(s);
}

static void log_start(const struct service *s)
{
    const struct config *c = s->config;
    log_event(LOG_INFO, "Started", LOG_STR, "version", RS_VERSION, LOG_STR, "postgres",
              s->context.postgres, LOG_STR, "redis", s->context.redis, LOG_STR, "keyPrefix",
              c->key_prefix, LOG_INT, "workers", (int64_t)c->workers, LOG_INT, "batchSize",
              (int64_t)c->batch_size, LOG_END);
}

int daemon_run(const struct config *config)
{
    struct service s;
    memset(&s, 0, sizeof(s));
    s.config = config;
    s.status = EXIT_FAILED;
    if (context_open(&s.context, config, on_redis, &s) != 0)
        return EXIT_FAILED;
    if (set_up(&s) == 0) {
        log_start(&s);
        timer_after_us(s.report, REPORT_US);
        sweeper_start(s.sweeper);
        feed_start(s.feed);
        s.notify = notify_new(s.context.parts.loop, on_notify, &s);
        redis_link_start(s.context.parts.redis);
        if (loop_run(s.context.parts.loop) != 0) {
            log_event(LOG_ERROR, "The event loop failed", LOG_END);
            s.status = EXIT_FAILED;
        }
    }
    const struct stats *stats = &s.context.parts.stats;
    char units[UNITS_TEXT];
    units_text(&stats->released_units, units);
    refusal_log_flush(s.context.parts.refusal_log);
    log_event(LOG_INFO, "Stopped", LOG_INT, "releasedTotal", (int64_t)stats->released, LOG_NUMBER,
              "releasedUnits", units, LOG_INT, "failedTotal", (int64_t)stats_failed_total(stats),
              LOG_INT, "unknownCommits", (int64_t)stats->unknown_commits, LOG_INT, "status",
              (int64_t)s.status, LOG_END);
    redis_link_stop(s.context.parts.redis);
    context_close_queue(&s.context);
    http_routes_free(s.http);
    notify_free(s.notify);
    health_free(s.health);
    timer_free(s.grace);
    timer_free(s.report);
    sweeper_disconnect(s.sweeper);
    feed_free(s.feed);
    sweeper_free(s.sweeper);
    redis_use_free(s.context.parts.redis_use);
    pg_watch_free(s.context.parts.pg_watch);
    context_close(&s.context);
    return s.status;
}
