/* One queue in the daemon. */
#include "app/queue_run.h"

#include "app/context.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "feed/feed.h"
#include "health/health.h"
#include "link/loop.h"
#include "link/redis_link.h"
#include "queue/redis_use.h"
#include "release/first_run.h"
#include "release/held.h"
#include "release/parts.h"
#include "release/pause.h"
#include "release/refusal_log.h"
#include "store/pg_watch.h"
#include "sweep/sweeper.h"

#include <stdlib.h>
#include <string.h>

#define REPORT_US MINUTE_US

struct queue_run {
    const struct config *config;
    const char *name; /* outlives it: servers_log_name */
    struct servers *servers;
    struct database *database;
    struct queue_redis *redis;
    struct parts parts;
    struct sweeper *sweeper;
    struct feed *feed;
    struct health *health;
    struct held *held;
    struct timer *report; /* what was released, now and then */
    uint64_t reported;    /* released up to the last report */
    int waiting_for;      /* sweeper and feed, while stopping */
    event_cb *done;
    void *done_arg;
};

static void on_pause(void *arg)
{
    struct queue_run *q = arg;
    feed_pause_changed(q->feed);
    sweeper_look_again(q->sweeper);
}

static void on_redis_use(void *arg)
{
    struct queue_run *q = arg;
    pause_redis_changed(q->parts.pause);
    feed_redis_changed(q->feed);
    sweeper_redis_changed(q->sweeper);
}

static void on_mirrored(void *arg, int64_t earliest_ms)
{
    struct queue_run *q = arg;
    sweeper_expect(q->sweeper, earliest_ms);
}

static void on_statements(void *arg)
{
    struct queue_run *q = arg;
    sweeper_look_again(q->sweeper);
}

static void on_report(void *arg)
{
    struct queue_run *q = arg;
    const struct stats *stats = &q->parts.stats;
    if (stats->released > q->reported)
        log_event(LOG_INFO, "Reservations released", LOG_INT, "releasedCount",
                  (int64_t)(stats->released - q->reported), LOG_INT, "releasedTotal",
                  (int64_t)stats->released, LOG_END);
    q->reported = stats->released;
    timer_after_us(q->report, REPORT_US);
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    struct queue_run *q = arg;
    redis_use_link(q->parts.redis_use, state, reason);
}

static int make_parts(struct queue_run *q, struct redis_outage *outage)
{
    struct servers *servers = q->servers;
    struct database *database = q->database = servers_database(servers, q->config, true);
    struct parts *parts = &q->parts;
    const struct feed_events events = {on_mirrored, on_statements, q};
    q->redis = servers_redis_open(servers, q->config->key_prefix, on_redis, q);
    if (database == NULL || q->redis == NULL ||
        queue_parts_init(parts, servers, database, q->config, q->redis) != 0)
        return -1;
    const struct redis_use_options use = {
        .outage = outage,
        .redis = parts->redis,
        .finder = parts->finder,
        .queue = parts->queue,
        .on_change = on_redis_use,
        .arg = q,
    };
    parts->redis_use = redis_use_new(parts->loop, &use);
    parts->pg_watch = pg_watch_new(database->outage, q->config->workers + 1);
    q->report = timer_new(parts->loop, on_report, q);
    parts->pause = pause_new(parts, on_pause, q);
    if (parts->redis_use == NULL || parts->pg_watch == NULL || q->report == NULL ||
        parts->pause == NULL)
        return -1;
    q->sweeper = sweeper_new(parts);
    if (q->sweeper != NULL)
        q->feed = feed_new(parts, sweeper_engine(q->sweeper), &events);
    const struct health_options health = {
        .queue = q->name,
        .parts = parts,
        .sweeper = q->sweeper,
        .feed = q->feed,
        .postgres = &database->address,
        .redis = &servers->redis_address,
        .postgres_clock = &database->clock,
        .redis_clock = &servers->redis_clock,
    };
    if (q->feed != NULL)
        q->held = held_new(parts);
    if (q->held != NULL)
        q->health = health_new(&health);
    return q->health != NULL ? 0 : -1;
}

struct queue_run *queue_run_new(struct servers *servers, struct redis_outage *outage,
                                const struct config *config)
{
    struct queue_run *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return NULL;
    q->config = config;
    q->servers = servers;
    q->name = servers_log_name(servers, config->queue->name);
    const char *queue = log_set_queue(q->name);
    if (q->name == NULL || make_parts(q, outage) != 0) {
        queue_run_free(q);
        q = NULL;
    }
    (void)log_set_queue(queue);
    return q;
}

void queue_run_close(struct queue_run *q)
{
    const char *queue = log_set_queue(q->name);
    if (q->redis != NULL)
        redis_link_stop(q->redis->link);
    due_queue_free(q->parts.queue);
    q->parts.queue = NULL;
    (void)log_set_queue(queue);
}

void queue_run_free(struct queue_run *q)
{
    if (q == NULL)
        return;
    const char *queue = log_set_queue(q->name);
    queue_run_close(q);
    health_free(q->health);
    timer_free(q->report);
    held_free(q->held);
    sweeper_disconnect(q->sweeper);
    feed_free(q->feed);
    sweeper_free(q->sweeper);
    redis_use_free(q->parts.redis_use);
    pg_watch_free(q->parts.pg_watch);
    pause_free(q->parts.pause);
    queue_parts_clear(&q->parts);
    servers_redis_close(q->redis);
    if (q->database != NULL)
        servers_release(q->servers, q->database);
    free(q);
    (void)log_set_queue(queue);
}

void queue_run_take_over(struct queue_run *q, struct queue_run *former)
{
    q->parts.stats = former->parts.stats;
    q->reported = former->reported;
    first_run_take_over(q->parts.first_run, former->parts.first_run);
    pause_take_over(q->parts.pause, former->parts.pause);
}

void queue_run_say(struct queue_run *q)
{
    const struct config *c = q->config;
    const char *queue = log_set_queue(q->name);
    log_event(LOG_INFO, "Serving a queue", LOG_STR, "postgres", q->database->address, LOG_STR,
              "keyPrefix", c->key_prefix, LOG_INT, "workers", (int64_t)c->workers, LOG_INT,
              "batchSize", (int64_t)c->batch_size, LOG_END);
    (void)log_set_queue(queue);
}

void queue_run_start(struct queue_run *q)
{
    const char *queue = log_set_queue(q->name);
    redis_link_start(q->parts.redis);
    timer_after_us(q->report, REPORT_US);
    sweeper_start(q->sweeper);
    feed_start(q->feed);
    held_start(q->held);
    (void)log_set_queue(queue);
}

static void on_part_stopped(void *arg)
{
    struct queue_run *q = arg;
    if (--q->waiting_for == 0)
        q->done(q->done_arg);
}

void queue_run_stop(struct queue_run *q, event_cb *done, void *arg)
{
    const char *queue = log_set_queue(q->name);
    q->done = done;
    q->done_arg = arg;
    q->waiting_for = 2;
    health_stopping(q->health);
    held_stop(q->held);
    feed_stop(q->feed, on_part_stopped, q);
    sweeper_stop(q->sweeper, on_part_stopped, q);
    (void)log_set_queue(queue);
}

void queue_run_abandon(struct queue_run *q)
{
    const char *queue = log_set_queue(q->name);
    sweeper_abandon(q->sweeper);
    (void)log_set_queue(queue);
}

void queue_run_flush_log(struct queue_run *q)
{
    const char *queue = log_set_queue(q->name);
    refusal_log_flush(q->parts.refusal_log);
    (void)log_set_queue(queue);
}

const struct config *queue_run_config(const struct queue_run *q)
{
    return q->config;
}

const char *queue_run_postgres(const struct queue_run *q)
{
    return q->database->address;
}

const char *queue_run_name(const struct queue_run *q)
{
    return q->name;
}

struct parts *queue_run_parts(struct queue_run *q)
{
    return &q->parts;
}

struct health *queue_run_health(struct queue_run *q)
{
    return q->health;
}

int queue_runs_find(const struct queue_runs *queues, const char *name)
{
    for (int i = 0; i < queues->n; i++)
        if (strcmp(queues->all[i]->name, name) == 0)
            return i;
    return -1;
}
