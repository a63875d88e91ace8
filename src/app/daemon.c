/* The daemon: wires Redis, HTTP and the queues together and runs until a signal. */
#include "app/context.h"
#include "app/http_routes.h"
#include "app/modes.h"
#include "app/notify.h"
#include "app/queue_run.h"
#include "app/reload.h"
#include "app/servers.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queues.h"
#include "health/health.h"
#include "link/loop.h"
#include "queue/redis_use.h"
#include "release/parts.h"
#include "release/pause_record.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the queues have come to, all together. */
struct totals {
    uint64_t released, failed, unknown_commits;
    struct units units;
    int64_t pending, inflight, refused;
};

struct service {
    struct servers servers;
    struct redis_outage *redis_outage;
    const struct config *config;
    struct queue_runs queues;
    struct http_routes *http; /* NULL: none is wanted */
    struct notify *notify;    /* NULL: nobody asks */
    struct reload *reload;
    struct totals gone;  /* of queues that are no longer served */
    struct timer *grace; /* an orderly stop's end */
    bool stopping, abandoned;
    int waiting_for; /* the queues and what POST started, while stopping */
    int status;
};

static void end(struct service *s, int status)
{
    s->status = status;
    loop_stop(s->servers.loop);
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
    for (int i = 0; i < s->queues.n; i++)
        queue_run_abandon(s->queues.all[i]);
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
    s->waiting_for = 1;
    notify_stopping(s->notify);
    timer_after_us(s->grace, s->config->shutdown_grace_us * 3 / 4);
    for (int i = 0; i < s->queues.n; i++)
        if (!reload_stops(s->reload, s->queues.all[i])) {
            s->waiting_for++;
            queue_run_stop(s->queues.all[i], on_part_stopped, s);
        }
    reload_stop(s->reload, on_part_stopped, s);
    if (s->http != NULL) {
        s->waiting_for++;
        http_routes_stop(s->http, on_part_stopped, s);
    }
}

/* SIGHUP. Connections stay as they are: the next attempt uses what was read of secrets. */
static void on_reload(void *arg)
{
    struct service *s = arg;
    if (s->stopping)
        return;
    reload_begin(s->reload);
    notify_reloaded(s->notify);
}

static void add_totals(struct totals *t, struct queue_run *q)
{
    const struct stats *stats = &queue_run_parts(q)->stats;
    t->released += stats->released;
    t->failed += stats_failed_total(stats);
    t->unknown_commits += stats->unknown_commits;
    units_add(&t->units, &stats->released_units);
}

static struct totals totals_of(const struct service *s)
{
    struct totals t = s->gone;
    for (int i = 0; i < s->queues.n; i++)
        add_totals(&t, s->queues.all[i]);
    return t;
}

static void on_gone(void *arg, struct queue_run *q)
{
    struct service *s = arg;
    add_totals(&s->gone, q);
}

/* Until when the batches of all queues have their answers, as it is promised. */
static int64_t batch_deadline(const struct service *s)
{
    int64_t earliest_us = INT64_MAX;
    for (int i = 0; i < s->queues.n; i++) {
        int64_t us = batch_deadline_us(&queue_run_parts(s->queues.all[i])->batches);
        earliest_us = us < earliest_us ? us : earliest_us;
    }
    return earliest_us;
}

/* "Paused until ...": a pause's sentence begins with its word. */
static void say_pause(const struct pause_record *pause, char *status, size_t size)
{
    pause_record_say(pause, status, size);
    if (size > 0 && status[0] == 'p')
        status[0] = 'P';
}

/* A server out of reach is no reason to restart this program. */
static bool on_notify(void *arg, char *status, size_t size)
{
    struct service *s = arg;
    struct totals t = totals_of(s);
    struct health_report *reports = calloc((size_t)s->queues.n, sizeof(*reports));
    struct health_report sum;
    if (reports == NULL)
        return clock_mono_us() < batch_deadline(s);
    for (int i = 0; i < s->queues.n; i++) {
        health_read(queue_run_health(s->queues.all[i]), &reports[i]);
        t.pending += reports[i].pending;
        t.inflight += reports[i].inflight;
        t.refused += reports[i].failed;
    }
    health_sum(reports, s->queues.n, &sum);
    if (!sum.ready)
        snprintf(status, size, "Not ready: %s", sum.reason);
    else if (sum.pause != NULL)
        say_pause(sum.pause, status, size);
    else if (sum.degraded)
        snprintf(status, size, "On time, without Redis; %llu released",
                 (unsigned long long)t.released);
    else
        snprintf(status, size, "On time; %lld pending, %lld in flight, %lld failed, %llu released",
                 (long long)t.pending, (long long)t.inflight, (long long)t.refused,
                 (unsigned long long)t.released);
    free(reports);
    return clock_mono_us() < batch_deadline(s);
}

/* Once, at the start: it may be meant so, behind a proxy or in a private network. */
static void say_open(const struct service *s)
{
    if (!http_routes_only_here(s->http) && s->config->read_token == NULL)
        log_event(LOG_WARN,
                  "Without SWEEPER_READ_TOKEN whoever reaches the HTTP address can read it",
                  LOG_STR, "host", s->config->http_host, LOG_INT, "port",
                  (int64_t)s->config->http_port, LOG_END);
}

static int listen_http(struct service *s)
{
    char error[256];
    if (s->config->http_host == NULL)
        return 0;
    const struct http_routes_options options = {
        .loop = s->servers.loop,
        .config = s->config,
        .queues = &s->queues,
        .secrets = s->servers.secrets,
        .reloaded = reload_outcome(s->reload),
    };
    s->http = http_routes_new(&options, error, sizeof(error));
    if (s->http != NULL) {
        say_open(s);
        return 0;
    }
    log_event(LOG_ERROR, "The HTTP address cannot be used", LOG_STR, "host", s->config->http_host,
              LOG_INT, "port", (int64_t)s->config->http_port, LOG_STR, "error", error, LOG_STR,
              "setting", "SWEEPER_HTTP_LISTEN", LOG_END);
    return -1;
}

static int make_queues(struct service *s)
{
    int n = config_queues(s->config);
    s->queues.all = calloc((size_t)n, sizeof(struct queue_run *));
    for (; s->queues.all != NULL && s->queues.n < n; s->queues.n++) {
        struct queue_run *q =
            queue_run_new(&s->servers, s->redis_outage, config_queue(s->config, s->queues.n));
        if (q == NULL)
            return -1;
        s->queues.all[s->queues.n] = q;
    }
    return s->queues.all != NULL ? 0 : -1;
}

static int set_up(struct service *s)
{
    struct loop *loop = s->servers.loop;
    s->redis_outage = redis_outage_new(loop, &s->servers.redis_address);
    s->grace = timer_new(loop, on_grace_over, s);
    const struct reload_options reload = {
        .servers = &s->servers,
        .outage = s->redis_outage,
        .config = s->config,
        .queues = &s->queues,
        .http = &s->http,
        .on_gone = on_gone,
        .arg = s,
    };
    s->reload = reload_new(&reload);
    if (s->redis_outage == NULL || s->grace == NULL || s->reload == NULL || make_queues(s) != 0 ||
        loop_on_signal(loop, SIGTERM, on_signal, s) != 0 ||
        loop_on_signal(loop, SIGINT, on_signal, s) != 0 ||
        loop_on_signal(loop, SIGHUP, on_reload, s) != 0) {
        log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
        return -1;
    }
    return listen_http(s);
}

/* With one queue it is told with the start. */
static void log_start(struct service *s)
{
    struct queue_run *first = s->queues.all[0];
    const struct config *c = queue_run_config(first);
    if (s->queues.n == 1) {
        const char *queue = log_set_queue(queue_run_name(first));
        log_event(LOG_INFO, "Started", LOG_STR, "version", RS_VERSION, LOG_STR, "postgres",
                  queue_run_postgres(first), LOG_STR, "redis", s->servers.redis_address, LOG_STR,
                  "keyPrefix", c->key_prefix, LOG_INT, "workers", (int64_t)c->workers, LOG_INT,
                  "batchSize", (int64_t)c->batch_size, LOG_END);
        (void)log_set_queue(queue);
        return;
    }
    for (int i = 0; i < s->queues.n; i++)
        queue_run_say(s->queues.all[i]);
    log_event(LOG_INFO, "Started", LOG_STR, "version", RS_VERSION, LOG_STR, "redis",
              s->servers.redis_address, LOG_INT, "queues", (int64_t)s->queues.n, LOG_END);
}

static void log_stop(const struct service *s)
{
    struct totals t = totals_of(s);
    char units[UNITS_TEXT];
    units_text(&t.units, units);
    log_event(LOG_INFO, "Stopped", LOG_INT, "releasedTotal", (int64_t)t.released, LOG_NUMBER,
              "releasedUnits", units, LOG_INT, "failedTotal", (int64_t)t.failed, LOG_INT,
              "unknownCommits", (int64_t)t.unknown_commits, LOG_INT, "status", (int64_t)s->status,
              LOG_END);
}

static void clear(struct service *s)
{
    reload_close(s->reload);
    for (int i = 0; i < s->queues.n; i++)
        queue_run_close(s->queues.all[i]);
    http_routes_free(s->http);
    notify_free(s->notify);
    timer_free(s->grace);
    for (int i = 0; i < s->queues.n; i++)
        queue_run_free(s->queues.all[i]);
    free(s->queues.all);
    reload_free(s->reload);
    redis_outage_free(s->redis_outage);
    servers_close(&s->servers);
}

int daemon_run(const struct config *config)
{
    struct service s;
    memset(&s, 0, sizeof(s));
    s.config = config;
    s.status = EXIT_FAILED;
    if (!enough_files(config, config_queues(config)))
        return EXIT_FAILED;
    if (servers_open(&s.servers, config) != 0) {
        log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
        clear(&s);
        return EXIT_FAILED;
    }
    if (set_up(&s) == 0) {
        log_start(&s);
        for (int i = 0; i < s.queues.n; i++)
            queue_run_start(s.queues.all[i]);
        s.notify = notify_new(s.servers.loop, on_notify, &s);
        if (loop_run(s.servers.loop) != 0) {
            log_event(LOG_ERROR, "The event loop failed", LOG_END);
            s.status = EXIT_FAILED;
        }
    }
    for (int i = 0; i < s.queues.n; i++)
        queue_run_flush_log(s.queues.all[i]);
    log_stop(&s);
    clear(&s);
    return s.status;
}
