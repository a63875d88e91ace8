/* The parts that a mode is made of, and what they write: made and taken apart again while memory
 * runs out (failing.c). Needs no input. */
#include "release/parts.h"
#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "feed/feed.h"
#include "health/health.h"
#include "health/history.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "link/redis_finder.h"
#include "link/redis_link.h"
#include "queue/due_queue.h"
#include "queue/redis_use.h"
#include "reconcile/reconcile.h"
#include "release/blockers.h"
#include "release/breakers.h"
#include "release/counter_waits.h"
#include "release/locked.h"
#include "release/refusal_log.h"
#include "release/refusals.h"
#include "release/release.h"
#include "release/stats.h"
#include "store/pg_watch.h"
#include "store/statements.h"
#include "sweep/sweeper.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_metrics(void)
{
    static const double bound = 1;
    static const uint64_t counts[] = {1, 2};
    struct metrics *m = metrics_new();
    size_t len = 0;
    if (m == NULL)
        return;
    metrics_family(m, METRIC_DISCARDED);
    metrics_label(m, "queue", "reservations");
    metrics_label(m, "reason", "\"quoted\"");
    metrics_value(m, 3);
    metrics_family(m, METRIC_BATCH_SIZE);
    metrics_label(m, "queue", "reservations");
    metrics_histogram(m, &bound, 1, counts, 2);
    metrics_process(m);
    free(metrics_finish(m, &len)); /* frees m too */
}

static void write_reports(void)
{
    struct health_report r = {
        .postgres = {.address = "host=pg", .error = "it is \"gone\""},
        .redis = {.address = "redis:6379/0", .error = "", .up = true},
        .queue = "reservations",
        .sizes_known = true,
        .now_us = INT64_C(1763082000000000),
        .overdue_since_us = INT64_C(1763081000000000),
        .overdue_known = true,
        .overdue_unknown = "",
        .overdue_id = "the-oldest",
        .overdue_product = "its-product",
    };
    struct reconcile_result reconciled = {.error = "it was ended", .finished_us = r.now_us};
    struct history history = {.begun = false};
    struct stats stats;
    stats_init(&stats);
    stats_observe(&stats.lateness_s, 0.002);
    history_note(&history, &stats.lateness_s, 1, 1);
    r.lateness = &stats.lateness_s;
    r.history = &history;
    r.reconciled = &reconciled;
    health_judge(&r, "there is no table inventory");
    free(health_status_json(&r, 1));
    free(health_ready_json(&r, 1));
}

/* One that is held locked, and who holds it; shown, then said. */
static void lock_one(void)
{
    struct locked_holder holder = {.known = true, .pid = 5, .user = "shop"};
    struct locked *l = locked_new();
    struct item item;
    const char *ids[1];
    if (l == NULL || item_init(&item, "a", 1) != 0) {
        locked_free(l);
        return;
    }
    item.outcome = OUTCOME_LOCKED;
    item.lock = LOCK_HELD;
    locked_note(l, &item, 1, 1);
    if (locked_ask(l, ids, 1, INT64_C(50000000)) == 1)
        locked_answer(l, "a", true, "product", &holder, INT64_C(50000000));
    locked_tick(l, INT64_C(50000000));
    json_decref(health_lockeds(l, INT64_C(50000000), INT64_C(1763082000000000)));
    item_clear(&item);
    locked_free(l);
}

static void write_log(void)
{
    char service[] = "shop";
    const struct log_options options = {LOG_ERROR, LOG_FORMAT_JSON, service, true};
    if (log_setup(&options) != 0 || log_queue_start() != 0)
        return;
    log_event(LOG_DEBUG, "Not written", LOG_STR, "id", "a", LOG_END);
    log_queue_stop();
}

static void remember(void)
{
    struct refusals *r = refusals_new();
    if (r == NULL)
        return;
    for (int i = 0; i < 3; i++)
        if (refusals_note(r, i == 1 ? "a" : "b", 1) < 1)
            abort();
    refusals_forget(r, "a");
    refusals_free(r);
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    (void)arg;
    (void)state;
    (void)reason;
}

static void on_redis_use(void *arg)
{
    (void)arg;
}

static void on_mirrored(void *arg, int64_t earliest_ms)
{
    (void)arg;
    (void)earliest_ms;
}

static void on_statements(void *arg)
{
    (void)arg;
}

static const struct redis_url *same_url(void *arg)
{
    return arg;
}

static void make_workers(struct parts *s)
{
    const struct feed_events events = {on_mirrored, on_statements, NULL};
    char *address = NULL;
    struct redis_outage *redis_outage = redis_outage_new(s->loop, &address);
    struct pg_outage *pg_outage = pg_outage_new(s->loop, &address);
    const struct redis_use_options use = {
        .outage = redis_outage,
        .redis = s->redis,
        .finder = s->finder,
        .queue = s->queue,
        .on_change = on_redis_use,
    };
    s->redis_use = redis_outage != NULL ? redis_use_new(s->loop, &use) : NULL;
    s->pg_watch = pg_outage != NULL ? pg_watch_new(pg_outage, s->config->workers + 1) : NULL;
    struct sweeper *sweeper = sweeper_new(s);
    struct feed *feed = sweeper != NULL ? feed_new(s, sweeper_engine(sweeper), &events) : NULL;
    sweeper_disconnect(sweeper);
    feed_free(feed);
    sweeper_free(sweeper);
    redis_use_free(s->redis_use);
    pg_watch_free(s->pg_watch);
    redis_outage_free(redis_outage);
    pg_outage_free(pg_outage);
}

static void make_all(const struct config *config)
{
    struct parts s;
    memset(&s, 0, sizeof(s));
    s.config = config;
    stats_init(&s.stats);
    s.loop = loop_new();
    s.statements = statements_new(config->queue);
    s.counter_waits = counter_waits_new();
    s.locked = locked_new();
    if (s.loop != NULL)
        s.blockers = blockers_new(&s);
    struct redis_url url = config->redis;
    struct redis_lookup lookup = {.loop = s.loop, .url = same_url, .arg = &url};
    lookup.sentinels = s.loop != NULL ? redis_sentinels_new(&lookup) : NULL;
    struct redis_finder *finder =
        lookup.sentinels != NULL ? redis_finder_new(&lookup, config->key_prefix) : NULL;
    s.finder = finder;
    struct redis_link_options options = {
        .connect_timeout_us = 1,
        .command_timeout_us = 1,
        .backoff_min_us = 1,
        .backoff_max_us = 1,
        .on_state = on_redis,
    };
    if (s.loop != NULL)
        s.refusal_log = refusal_log_new(s.loop);
    if (s.refusal_log != NULL)
        s.breakers = breakers_new(config->queue, s.refusal_log);
    if (finder != NULL) {
        options.source = redis_finder_source(finder);
        s.redis = redis_link_new(s.loop, &options);
    }
    if (s.redis != NULL)
        s.queue = due_queue_new(s.redis, config->key_prefix);
    if (s.queue != NULL && s.statements != NULL && s.counter_waits != NULL && s.breakers != NULL &&
        s.locked != NULL && s.blockers != NULL)
        make_workers(&s);
    due_queue_free(s.queue);
    redis_link_free(s.redis);
    redis_finder_free(finder);
    redis_sentinels_free(lookup.sentinels);
    statements_free(s.statements);
    counter_waits_free(s.counter_waits);
    breakers_free(s.breakers);
    refusal_log_free(s.refusal_log);
    blockers_free(s.blockers);
    locked_free(s.locked);
    loop_free(s.loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[] = "reservation-sweeper", url[] = "--database-url=host=localhost dbname=shop";
    char workers[] = "--workers=3";
    char *argv[] = {name, url, workers, NULL};
    char error[256];
    struct config config;
    (void)data;
    (void)size;
    write_metrics();
    write_reports();
    write_log();
    lock_one();
    remember();
    memset(&config, 0, sizeof(config));
    if (config_read(&config, 3, argv, error, sizeof(error)) == 0)
        make_all(&config);
    config_clear(&config);
    return 0;
}
