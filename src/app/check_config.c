/* --check-config: connects to both servers, looks at what the sweeper needs of them, gives advice,
 * changes nothing. One line for each thing looked at: ok, note (advice) or FAIL. Both servers are
 * connected to at once; what is said has one order, whichever answers first. */
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

/* What is looked at once, for all queues. */
struct check_all {
    struct check_report report;
    bool several;
    bool redis_failed;
};

struct check {
    struct context context;
    struct check_report report;
    struct timer *limit; /* when a server that is not connected by then has failed */
    bool late;           /* that is over */
    bool begun[CHECK_PARTS];
    bool postgres_up, redis_failed;
    const char *title; /* of the queue's own part; NULL: none, or it was said */
    struct check_http http;
    struct check_redis redis;
    struct check_database database;
};

/* A server that accepts the connection and says nothing leaves no error. */
static const char *why(const char *last_error)
{
    return last_error[0] != '\0' ? last_error : "no answer within 5 s";
}

/* Without Redis there is no more to be said of it, of no queue. */
static void skip_keys(struct check *c)
{
    c->redis_failed = true;
    check_done(&c->report, CHECK_KEYS);
}

static void fail_redis(struct check *c, enum check_part part)
{
    const char *fault = context_redis_fault(&c->context);
    const char *error = redis_link_last_error(c->context.parts.redis);
    c->report.misused = c->report.misused || fault != NULL;
    if (fault != NULL)
        check_fail(&c->report, "%s", fault);
    else
        check_fail(&c->report,
                   strncmp(error, "NOPERM ", strlen("NOPERM ")) == 0
                       ? "Redis at %s refuses what the sweeper asks of it: %s"
                       : "Redis at %s is out of reach: %s",
                   context_redis(&c->context), why(error));
    check_done(&c->report, part);
    if (part == CHECK_REDIS)
        skip_keys(c);
}

static void fail_postgres(struct check *c)
{
    check_fail(&c->report, "Postgres at %s is out of reach: %s", context_postgres(&c->context),
               why(pg_link_last_error(c->database.link)));
    check_done(&c->report, CHECK_POSTGRES);
}

static void begin(struct check *c, enum check_part part)
{
    c->begun[part] = true;
    if (part == CHECK_HTTP)
        check_http_begin(&c->http);
    else if (part == CHECK_REDIS)
        check_redis_server(&c->redis);
    else if (part == CHECK_KEYS)
        check_redis_keys(&c->redis);
    else if (part == CHECK_POSTGRES)
        check_postgres_begin(&c->database);
}

/* Whether what the part looks at is connected. */
static bool may_begin(const struct check *c, enum check_part part)
{
    if (part == CHECK_POSTGRES)
        return c->postgres_up;
    return part == CHECK_HTTP || redis_link_state(c->context.parts.redis) == REDIS_LINK_UP;
}

/* The part that comes next begins, once that is possible. */
static void go_on(void *arg)
{
    struct check *c = arg;
    enum check_part part = check_report_part(&c->report);
    if (part >= CHECK_KEYS && c->title != NULL) {
        printf("\nqueue %s\n", c->title);
        c->title = NULL;
    }
    if (part == CHECK_PARTS)
        loop_stop(c->context.parts.loop);
    else if (c->begun[part])
        return;
    else if (may_begin(c, part))
        begin(c, part);
    else if (c->late && part == CHECK_POSTGRES)
        fail_postgres(c);
    else if (part < CHECK_POSTGRES && (c->late || context_redis_fault(&c->context) != NULL))
        fail_redis(c, part);
}

static void on_postgres(void *arg, bool up, const char *reason)
{
    struct check *c = arg;
    (void)reason;
    c->postgres_up = up;
    go_on(c);
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    struct check *c = arg;
    (void)reason;
    if (state != REDIS_LINK_UP)
        c->begun[CHECK_KEYS] = false; /* nobody answers any more */
    go_on(c);
}

/* Who is connected by now has time limits of its own. */
static void on_limit(void *arg)
{
    struct check *c = arg;
    c->late = true;
    go_on(c);
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
    return check_report_init(&c->report, loop, go_on, c) == 0 && c->database.link != NULL &&
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
    return r->misused ? EXIT_USAGE : EXIT_FAILED;
}

/* One queue, with a context of its own; what all of them share is looked at with the first. */
static void check_queue(const struct config *config, bool first, struct check_all *all)
{
    struct check c;
    memset(&c, 0, sizeof(c));
    c.title = all->several ? config->queue->name : NULL;
    c.report.done[CHECK_HTTP] = c.report.done[CHECK_REDIS] = !first;
    c.report.done[CHECK_KEYS] = all->redis_failed;
    c.http = (struct check_http){.config = config, .report = &c.report};
    c.redis = (struct check_redis){&c.context, &c.report};
    c.database = (struct check_database){
        .context = &c.context, .config = config, .queue = config->queue, .report = &c.report};
    if (context_open(&c.context, config, on_redis, &c) != 0) {
        check_fail(&all->report, "out of memory or file descriptors");
        return;
    }
    if (set_up(&c) != 0) {
        check_fail(&c.report, "out of memory or file descriptors");
    } else {
        timer_after_us(c.limit, CHECK_CONNECT_US);
        timer_after_us(c.report.turn, 0);
        c.http.loop = c.context.parts.loop;
        pg_link_start(c.database.link);
        redis_link_start(c.context.parts.redis);
        if (loop_run(c.context.parts.loop) != 0)
            check_fail(&c.report, "the event loop failed");
    }
    all->redis_failed = all->redis_failed || c.redis_failed;
    check_http_clear(&c.http);
    pg_link_free(c.database.link);
    check_postgres_clear(&c.database);
    timer_free(c.limit);
    check_report_clear(&c.report);
    context_close(&c.context);
    check_report_add(&all->report, &c.report);
}

int check_config_run(const struct config *config)
{
    struct check_all all = {.several = config_queues(config) > 1};
    check_ok("settings");
    for (int i = 0; i < config_queues(config); i++)
        check_queue(config_queue(config, i), i == 0, &all);
    return conclude(&all.report);
}
