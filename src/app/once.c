/* --once: releases everything that has expired, from Postgres, and exits. The cron job's
 * replacement. Queues go one after the other, each with connections and a loop of its own, so that
 * what becomes of one does not matter to the next. */
#include "app/cleanup_log.h"
#include "app/context.h"
#include "app/modes.h"
#include "app/once_progress.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "config/queues.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "link/redis_finder.h"
#include "release/announcer.h"
#include "release/drain.h"
#include "release/first_run.h"
#include "release/pause.h"
#include "release/refusal_log.h"
#include "store/ask.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_US (5 * SECOND_US)
#define MAX_LINKS 16
#define NOT_ASKED "whether one lasts could not be asked"

/* One queue. */
struct once {
    struct context context;
    const struct config *config;
    struct pg_link *links[MAX_LINKS];
    int nlinks;
    struct first_run *first_run;
    struct pause *pause;
    struct drain *drain;
    struct once_progress *progress; /* NULL: nobody looks */
    struct timer *connecting;       /* 5 s for both servers */
    bool redis_decided;             /* up, or known to be out of reach */
    bool redis_away;                /* ... the latter */
    bool asks_pause;
    bool connected; /* the wait is over */
    bool stopping, signalled;
    bool ended; /* and said so: what links and signals still report changes nothing */
    struct cleanup cleanup;
    bool completed; /* it came to its end */
    int status;
};

static void connected(struct once *o);

static void on_told(void *arg)
{
    const struct once *o = arg;
    loop_stop(o->context.parts.loop);
}

static void end(struct once *o, int status)
{
    o->ended = true;
    o->status = status;
    once_progress_end(o->progress);
    if (o->drain != NULL && drain_running(o->drain))
        loop_stop(o->context.parts.loop); /* a second signal: nothing more is to be released */
    else
        announcer_flush(o->context.parts.announcer, on_told, o);
}

static void completed(struct once *o)
{
    refusal_log_flush(o->context.parts.refusal_log);
    o->completed = true;
    end(o, o->cleanup.failed > 0 ? EXIT_FAILED : EXIT_DONE);
}

static void failed(struct once *o, const char *error)
{
    if (o->ended)
        return;
    refusal_log_flush(o->context.parts.refusal_log);
    if (o->drain != NULL)
        cleanup_take(&o->cleanup, drain_so_far(o->drain));
    cleanup_failed(&o->cleanup, error);
    end(o, EXIT_FAILED);
}

static void on_drained(void *arg, const struct drain_result *result)
{
    struct once *o = arg;
    if (o->ended)
        return;
    cleanup_take(&o->cleanup, result);
    if (!result->ok)
        failed(o, result->error);
    else if (o->stopping)
        failed(o, "stopped by a signal");
    else
        completed(o);
}

static void on_count(void *arg, const struct pg_answer *answer)
{
    struct once *o = arg;
    if (answer->status != PG_DONE) {
        failed(o, answer->message);
        return;
    }
    o->cleanup.cleaned = (uint64_t)pg_result_int(answer->results[0], 0, 0);
    /* What is no number, NULL or NaN among it, is not to be told. */
    o->cleanup.units = units_parse(pg_result_text(answer->results[0], 0, 1));
    o->cleanup.kept = (uint64_t)pg_result_int(answer->results[0], 0, 2);
    completed(o);
}

static void start(struct once *o)
{
    const struct drain_options drain = {
        .parts = &o->context.parts,
        .links = o->links,
        .nlinks = o->nlinks,
        .on_item = o->progress != NULL ? once_progress_item : NULL,
        .arg = o->progress,
    };
    o->drain = drain_new(&drain);
    if (o->drain == NULL) {
        failed(o, "out of memory");
        return;
    }
    drain_run(o->drain, DRAIN_NOW, DRAIN_LOCKED_US, on_drained, o);
    once_progress_begin(o->progress, o->drain);
}

static void on_first_run(void *arg)
{
    struct once *o = arg;
    if (o->ended)
        return;
    if (first_run_may_release(o->first_run))
        start(o);
    else
        failed(o, first_run_reason(o->first_run));
}

static void ask_first_run(struct once *o)
{
    first_run_ask(o->first_run, o->links[0], on_first_run, o);
}

static void on_pause(void *arg)
{
    struct once *o = arg;
    if (o->ended)
        return;
    if (pause_allows(o->context.parts.pause))
        ask_first_run(o);
    else
        failed(o, pause_reason(o->context.parts.pause));
}

static void on_statements(void *arg, const char *error)
{
    struct once *o = arg;
    if (error != NULL) {
        failed(o, error);
        return;
    }
    if (o->config->dry_run) {
        const struct ask_query query = {.statement = STATEMENT_DUE_COUNT};
        const struct ask_options options = {.statements = o->context.parts.statements,
                                            .clock = &o->context.parts.pg_clock,
                                            .link = o->links[0],
                                            .deadline_us = MINUTE_US,
                                            .again = true};
        if (ask_send(&options, &query, 1, on_count, o) != 0)
            failed(o, "the connection to Postgres was lost");
        return;
    }
    if (o->asks_pause && !o->redis_away) {
        o->context.parts.pause = o->pause;
        pause_ask(o->pause, on_pause, o);
    } else {
        ask_first_run(o);
    }
}

/* Works with the connections that are up; one is enough. */
static void connected(struct once *o)
{
    int up = 0;
    char reason[256];
    const char *error = pg_link_last_error(o->links[0]);
    snprintf(reason, sizeof(reason), "%s", error[0] != '\0' ? error : "no answer within 5 s");
    timer_clear(o->connecting);
    o->connected = true;
    for (int i = 0; i < o->nlinks; i++) {
        if (pg_link_up(o->links[i]))
            o->links[up++] = o->links[i];
        else
            pg_link_free(o->links[i]);
    }
    o->nlinks = up;
    if (up == 0) {
        log_event(LOG_ERROR, "Postgres is out of reach", LOG_STR, "postgres",
                  context_postgres(&o->context), LOG_STR, "error", reason, LOG_END);
        end(o, EXIT_FAILED);
    } else if (statements_load(o->context.parts.statements, o->links[0], &o->context.parts.pg_clock,
                               on_statements, o) != 0) {
        failed(o, "the connection to Postgres was lost");
    }
}

static void check_connected(struct once *o)
{
    if (o->connected || !o->redis_decided)
        return;
    for (int i = 0; i < o->nlinks; i++)
        if (!pg_link_up(o->links[i]))
            return;
    timer_after_us(o->connecting, 0); /* not inside a link's callback, which may be freed */
}

static void on_connecting_over(void *arg)
{
    struct once *o = arg;
    if (!o->redis_decided)
        log_event(LOG_WARN, "Redis is out of reach; its entries are left to the daemon", LOG_STR,
                  "redis", context_redis(&o->context), LOG_STR, "error", "no answer within 5 s",
                  LOG_STR, "pause", NOT_ASKED, LOG_END);
    o->redis_away = o->redis_away || !o->redis_decided;
    o->redis_decided = true;
    connected(o);
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    struct once *o = arg;
    if (state == REDIS_LINK_CONNECTING || o->redis_decided)
        return;
    if (state == REDIS_LINK_DOWN) {
        log_event(LOG_WARN,
                  o->config->redis_configured
                      ? "Redis is out of reach; its entries are left to the daemon"
                      : "Redis is not configured; released from Postgres alone",
                  LOG_STR, "redis", context_redis(&o->context), LOG_STR, "error",
                  redis_finder_reason(o->context.parts.finder, reason), LOG_STR, "pause", NOT_ASKED,
                  LOG_END);
        redis_link_stop(o->context.parts.redis);
        o->redis_away = true;
    }
    o->redis_decided = true;
    check_connected(o);
}

static void on_postgres(void *arg, bool up, const char *reason)
{
    (void)up;
    (void)reason;
    check_connected(arg);
}

static void on_signal(void *arg)
{
    struct once *o = arg;
    o->signalled = true;
    if (o->stopping || o->drain == NULL || !drain_running(o->drain)) {
        failed(o, "stopped by a signal");
        return;
    }
    o->stopping = true;
    drain_stop(o->drain);
}

static int set_up(struct once *o)
{
    struct loop *loop = o->context.parts.loop;
    const struct pg_link_options options = {
        .source = o->context.parts.postgres,
        .prepare = o->config->prepare,
        .application_name = "reservation-sweeper once",
        .read_only_ok = o->config->dry_run,
        .on_state = on_postgres,
        .arg = o,
    };
    int wanted = o->config->dry_run ? 1 : o->config->workers;
    o->connecting = timer_new(loop, on_connecting_over, o);
    for (; o->nlinks < wanted; o->nlinks++) {
        o->links[o->nlinks] = pg_link_new(loop, &options);
        if (o->links[o->nlinks] == NULL)
            return -1;
    }
    o->progress = once_progress_new(&o->context,
                                    config_queues(o->config) > 1 ? o->config->queue->name : NULL);
    o->first_run = first_run_new(&o->context.parts, true);
    o->pause = pause_new(&o->context.parts, NULL, NULL);
    if (o->connecting == NULL || o->first_run == NULL || o->pause == NULL ||
        context_on_end(&o->context, on_signal, o) != 0)
        return -1;
    return 0;
}

static void run(struct once *o)
{
    timer_after_us(o->connecting, CONNECT_US);
    for (int i = 0; i < o->nlinks; i++)
        pg_link_start(o->links[i]);
    if (!o->redis_decided)
        redis_link_start(o->context.parts.redis);
    if (loop_run(o->context.parts.loop) != 0)
        log_event(LOG_ERROR, "The event loop failed", LOG_END);
}

/* without_redis: there is nothing to tell it, or it was found out of reach by the queue before. */
static void run_queue(struct once *o, const struct config *config, bool without_redis)
{
    o->config = config;
    o->status = EXIT_FAILED;
    o->redis_decided = without_redis;
    o->asks_pause = !without_redis && !config->even_paused;
    o->cleanup = (struct cleanup){
        .queue = config->queue->name, .began_us = clock_mono_us(), .dry_run = config->dry_run};
    if (context_open(&o->context, config, on_redis, o) != 0)
        return;
    if (set_up(o) != 0)
        log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
    else
        run(o);
    context_close_queue(&o->context);
    for (int i = 0; i < o->nlinks; i++)
        pg_link_free(o->links[i]);
    once_progress_free(o->progress);
    drain_free(o->drain);
    first_run_free(o->first_run);
    pause_free(o->pause);
    timer_free(o->connecting);
    context_close(&o->context);
}

int once_run(const struct config *config)
{
    int n = config_queues(config), done = 0, status = EXIT_DONE;
    bool without_redis = config->dry_run, completed = false;
    struct cleanup *cleanups = calloc((size_t)n, sizeof(*cleanups));
    if (cleanups == NULL)
        return EXIT_FAILED;
    for (bool stopped = false; done < n && !stopped; done++) {
        struct once o = {0};
        const char *queue = log_set_queue(config_queue(config, done)->queue->name);
        run_queue(&o, config_queue(config, done), without_redis);
        (void)log_set_queue(queue);
        cleanups[done] = o.cleanup;
        status = o.status != EXIT_DONE ? o.status : status;
        completed = completed || o.completed;
        without_redis = without_redis || o.redis_away;
        stopped = o.signalled;
    }
    if (completed)
        cleanup_completed(cleanups, done);
    free(cleanups);
    return status;
}
