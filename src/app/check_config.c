/* --check-config: connects to both servers, looks at what the sweeper needs of them, gives advice,
 * changes nothing. One line for each thing looked at: ok, note (advice) or FAIL. */
#include "app/check_http.h"
#include "app/check_postgres.h"
#include "app/check_redis.h"
#include "app/check_report.h"
#include "app/context.h"
#include "app/modes.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "config/queues.h"
#include "link/loop.h"
#include "link/pg_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What both servers have for the connection. */
#define CHECK_CONNECT_US (5 * SECOND_US)

struct check {
    struct context context;
    struct check_report report;
    struct timer *limit; /* when a server that is not connected by then has failed */
    struct check_http http;
    struct check_redis redis;
    struct check_database database;
};

static void on_end(void *arg)
{
    struct check *c = arg;
    loop_stop(c->context.parts.loop);
}

static void on_postgres(void *arg, bool up, const char *reason)
{
    struct check *c = arg;
    (void)reason;
    if (up && !c->database.begun)
        check_postgres_begin(&c->database);
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    struct check *c = arg;
    (void)reason;
    if (state == REDIS_LINK_UP && !c->report.done[CHECK_REDIS])
        check_redis_begin(&c->redis);
}

/* A server that accepts the connection and says nothing leaves no error. */
static const char *why(const char *last_error)
{
    return last_error[0] != '\0' ? last_error : "no answer within 5 s";
}

/* Who is connected by now has time limits of its own. */
static void on_limit(void *arg)
{
    struct check *c = arg;
    if (!c->report.done[CHECK_REDIS]) {
        check_fail(&c->report, "Redis at %s is out of reach: %s", context_redis(&c->context),
                   why(redis_link_last_error(c->context.parts.redis)));
        check_done(&c->report, CHECK_REDIS);
    }
    if (!c->database.begun) {
        c->database.begun = true;
        check_fail(&c->report, "Postgres at %s is out of reach: %s", context_postgres(&c->context),
                   why(pg_link_last_error(c->database.link)));
        check_done(&c->report, CHECK_POSTGRES);
    }
}

static int set_up(struct check *c)
{
    struct loop *loop = c->context.parts.loop;
    const struct pg_link_options options = {
        .source = c->context.parts.postgres,
        .application_name = "reservation-sweeper check",
        .read_only_ok = true, /* which is said in its own words */
        .on_state = on_postgres,
        .arg = c,
    };
    c->database.link = pg_link_new(loop, &options);
    c->limit = timer_new(loop, on_limit, c);
    return check_report_init(&c->report, loop, on_end, c) == 0 && c->database.link != NULL &&
                   c->limit != NULL
               ? 0
               : -1;
}

/* On one terminal the lines have said it already. */
static bool lines_meet_the_log(void)
{
    struct stat lines, log;
    return isatty(STDOUT_FILENO) && isatty(STDERR_FILENO) && fstat(STDOUT_FILENO, &lines) == 0 &&
           fstat(STDERR_FILENO, &log) == 0 && lines.st_rdev == log.st_rdev;
}

static int conclude(const struct check_report *r)
{
    if (r->failures == 0)
        return EXIT_DONE;
    if (!lines_meet_the_log())
        log_event(LOG_ERROR, "The sweeper cannot work with this configuration", LOG_STR, "error",
                  r->failure, LOG_INT, "failures", (int64_t)r->failures, LOG_END);
    return EXIT_FAILED;
}

/* One queue, with a context of its own; what all of them share is looked at with the first. */
static void check_queue(const struct config *config, bool first, struct check_report *all)
{
    struct check c;
    memset(&c, 0, sizeof(c));
    c.http = (struct check_http){config, NULL, &c.report, NULL};
    c.redis = (struct check_redis){&c.context, &c.report};
    c.database = (struct check_database){
        .context = &c.context, .config = config, .queue = config->queue, .report = &c.report};
    if (context_open(&c.context, config, on_redis, &c) != 0) {
        check_fail(all, "out of memory or file descriptors");
        return;
    }
    if (set_up(&c) != 0) {
        check_fail(&c.report, "out of memory or file descriptors");
    } else {
        timer_after_us(c.limit, CHECK_CONNECT_US);
        c.http.loop = c.context.parts.loop;
        if (first)
            check_http_begin(&c.http);
        else
            check_done(&c.report, CHECK_HTTP);
        pg_link_start(c.database.link);
        redis_link_start(c.context.parts.redis);
        if (loop_run(c.context.parts.loop) != 0)
            check_fail(&c.report, "the event loop failed");
    }
    check_http_clear(&c.http);
    pg_link_free(c.database.link);
    check_postgres_clear(&c.database);
    timer_free(c.limit);
    check_report_clear(&c.report);
    context_close(&c.context);
    check_report_add(all, &c.report);
}

int check_config_run(const struct config *config)
{
    struct check_report all = {0};
    check_ok("settings");
    for (int i = 0; i < config_queues(config); i++) {
        if (config_queues(config) > 1)
            printf("\nqueue %s\n", config_queue(config, i)->queue->name);
        check_queue(config_queue(config, i), i == 0, &all);
    }
    return conclude(&all);
}
