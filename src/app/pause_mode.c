/* --pause and --resume: an order to all sweepers of each queue, one queue after the other. Redis
 * carries it; Postgres says what time it is. While Postgres is out of reach, which may be why
 * somebody pauses, this host's clock has to do. */
#include "app/context.h"
#include "app/modes.h"
#include "base/iso_time.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "config/queues.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "release/pause_give.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CONNECT_US (5 * SECOND_US)
#define NO_ANSWER "no answer within 5 s"

struct pause_mode {
    struct context context;
    const struct config *config;
    struct pg_link *link;
    struct timer *limit; /* of the connecting */
    char by[PAUSE_BY_MAX + 1];
    bool asked, given;
    int status;
};

static void end(struct pause_mode *m, int status)
{
    m->status = status;
    loop_stop(m->context.parts.loop);
}

static void fail(struct pause_mode *m, const char *error)
{
    log_event(LOG_ERROR, m->config->mode == MODE_PAUSE ? "Cannot pause" : "Cannot resume", LOG_STR,
              "error", error, LOG_END);
    end(m, EXIT_FAILED);
}

static void on_given(void *arg, const struct pause_given *given)
{
    struct pause_mode *m = arg;
    char until[ISO_TIME_SIZE];
    if (given->error != NULL) {
        fail(m, given->error);
        return;
    }
    if (m->config->mode == MODE_PAUSE)
        log_event(LOG_INFO, "Paused: nothing is released", LOG_STR, "until",
                  iso_time(given->until_us, until), LOG_STR, "reason", m->config->reason, LOG_STR,
                  "by", m->by, LOG_END);
    else
        log_event(LOG_INFO, "Resumed: releases go on", LOG_BOOL, "wasPaused", given->lasted,
                  LOG_END);
    end(m, EXIT_DONE);
}

/* Once both have said what they can. */
static void give(struct pause_mode *m)
{
    const struct pause_wish wish = {
        .for_us = m->config->mode == MODE_PAUSE ? m->config->pause_us : 0,
        .reason = m->config->reason != NULL ? m->config->reason : "",
        .by = m->by,
    };
    if (m->given || !m->context.parts.pg_clock.known ||
        redis_link_state(m->context.parts.redis) != REDIS_LINK_UP)
        return;
    m->given = true;
    timer_clear(m->limit);
    pause_give(&m->context.parts, &wish, on_given, m);
}

static void use_host_clock(struct pause_mode *m, const char *error)
{
    int64_t now_us = clock_mono_us();
    log_event(LOG_WARN, "Postgres is out of reach: a pause goes by this host's clock", LOG_STR,
              "postgres", context_postgres(&m->context), LOG_STR, "error", error, LOG_END);
    server_clock_sample(&m->context.parts.pg_clock, clock_wall_us(), now_us, now_us);
}

static void on_limit(void *arg)
{
    struct pause_mode *m = arg;
    const char *redis = redis_link_last_error(m->context.parts.redis);
    const char *postgres = pg_link_last_error(m->link);
    if (redis_link_state(m->context.parts.redis) != REDIS_LINK_UP) {
        char error[512];
        snprintf(error, sizeof(error), "Redis at %s, which carries the order, is out of reach: %s",
                 context_redis(&m->context), redis[0] != '\0' ? redis : NO_ANSWER);
        fail(m, error);
        return;
    }
    use_host_clock(m, postgres[0] != '\0' ? postgres : NO_ANSWER);
    give(m);
}

static void on_clock(void *arg, const struct pg_answer *answer)
{
    struct pause_mode *m = arg;
    if (answer->status == PG_DONE && pg_result_rows(answer->results[0]) == 1)
        server_clock_sample(&m->context.parts.pg_clock, pg_result_int(answer->results[0], 0, 0),
                            answer->sent_us, answer->received_us);
    else
        use_host_clock(m, answer->message);
    give(m);
}

static void on_postgres(void *arg, bool up, const char *reason)
{
    static const struct pg_query clock = {
        .sql = "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint"};
    struct pause_mode *m = arg;
    (void)reason;
    if (up && !m->asked)
        m->asked = pg_link_send(m->link, &clock, 1, CONNECT_US, on_clock, m) == 0;
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    struct pause_mode *m = arg;
    const char *fault = context_redis_fault(&m->context);
    (void)reason;
    if (m->given)
        return;
    if (fault != NULL) {
        log_event(LOG_ERROR, "REDIS_URL names no Redis that can be used", LOG_STR, "error", fault,
                  LOG_STR, "redis", context_redis(&m->context), LOG_END);
        end(m, EXIT_FAILED);
    } else if (state == REDIS_LINK_UP) {
        give(m);
    }
}

/* "ops@shop-1": who has asked, for those who will ask who it was. */
static void name_author(char *out, size_t size)
{
    char host[128] = "unknown";
    const char *sudo = getenv("SUDO_USER");
    struct passwd entry, *user = NULL;
    char room[1024];
    (void)getpwuid_r(getuid(), &entry, room, sizeof(room), &user);
    (void)gethostname(host, sizeof(host) - 1);
    if (sudo != NULL && sudo[0] != '\0')
        snprintf(out, size, "%.60s@%s", sudo, host);
    else if (user != NULL)
        snprintf(out, size, "%.60s@%s", user->pw_name, host);
    else
        snprintf(out, size, "uid %lu@%s", (unsigned long)getuid(), host);
}

static int run_queue(const struct config *config)
{
    struct pause_mode m = {.config = config, .status = EXIT_FAILED};
    if (context_open(&m.context, config, on_redis, &m) != 0)
        return EXIT_FAILED;
    const struct pg_link_options options = {
        .source = m.context.parts.postgres,
        .application_name = "reservation-sweeper pause",
        .read_only_ok = true,
        .on_state = on_postgres,
        .arg = &m,
    };
    name_author(m.by, sizeof(m.by));
    m.link = pg_link_new(m.context.parts.loop, &options);
    m.limit = timer_new(m.context.parts.loop, on_limit, &m);
    if (m.link == NULL || m.limit == NULL) {
        log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
    } else {
        timer_after_us(m.limit, CONNECT_US);
        pg_link_start(m.link);
        redis_link_start(m.context.parts.redis);
        if (loop_run(m.context.parts.loop) != 0)
            log_event(LOG_ERROR, "The event loop failed", LOG_END);
    }
    context_close_queue(&m.context);
    pg_link_free(m.link);
    timer_free(m.limit);
    context_close(&m.context);
    return m.status;
}

int pause_run(const struct config *config)
{
    int status = EXIT_DONE;
    for (int i = 0; i < config_queues(config); i++) {
        const char *queue = log_set_queue(config_queue(config, i)->queue->name);
        if (run_queue(config_queue(config, i)) != EXIT_DONE)
            status = EXIT_FAILED;
        (void)log_set_queue(queue);
    }
    return status;
}
