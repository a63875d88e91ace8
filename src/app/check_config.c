/* --check-config: connects to both servers, looks at what the sweeper needs of them, gives advice,
 * changes nothing. One line for each thing looked at: ok, note (advice) or FAIL. */
#include "app/check_private.h"

#include "app/modes.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/http_client.h"
#include "link/loop.h"
#include "link/pg_link.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void say(const char *verdict, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* A terminal must not obey what a database says: control characters, in UTF-8 too, go. */
static void disarm(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
        bool c1 = p[0] == 0xC2 && p[1] >= 0x80 && p[1] <= 0x9F;
        if (*p < 0x20 || *p == 0x7F || c1)
            *p = '?';
        if (c1)
            *++p = '?';
    }
}

static void say(const char *verdict, const char *format, va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof(text), format, args);
    disarm(text);
    printf("%-4s  %s\n", verdict, text);
}

void check_ok(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("ok", format, args);
    va_end(args);
}

void check_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("note", format, args);
    va_end(args);
}

void check_fail(struct check *c, const char *format, ...)
{
    va_list args;
    if (c->failures++ == 0) {
        va_start(args, format);
        vsnprintf(c->failure, sizeof(c->failure), format, args);
        va_end(args);
    }
    va_start(args, format);
    say("FAIL", format, args);
    va_end(args);
}

void check_done(struct check *c, enum check_part part)
{
    c->done[part] = true;
    for (int i = 0; i < CHECK_PARTS; i++)
        if (!c->done[i])
            return;
    timer_after_us(c->end, 0);
}

static void on_end(void *arg)
{
    struct check *c = arg;
    loop_stop(c->context.parts.loop);
}

static void on_postgres(void *arg, bool up, const char *reason)
{
    struct check *c = arg;
    (void)reason;
    if (up && !c->pg.asked)
        check_postgres_begin(c);
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    struct check *c = arg;
    (void)reason;
    if (state == REDIS_LINK_UP && !c->done[CHECK_REDIS])
        check_redis_begin(c);
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
    if (!c->done[CHECK_REDIS]) {
        check_fail(c, "Redis at %s is out of reach: %s", c->context.redis,
                   why(redis_link_last_error(c->context.parts.redis)));
        check_done(c, CHECK_REDIS);
    }
    if (!c->pg.asked) {
        c->pg.asked = true;
        check_fail(c, "Postgres at %s is out of reach: %s", c->context.postgres,
                   why(pg_link_last_error(c->pg.link)));
        check_done(c, CHECK_POSTGRES);
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
    c->pg.link = pg_link_new(loop, &options);
    c->limit = timer_new(loop, on_limit, c);
    c->end = timer_new(loop, on_end, c);
    return c->pg.link != NULL && c->limit != NULL && c->end != NULL ? 0 : -1;
}

/* On one terminal the lines have said it already. */
static bool lines_meet_the_log(void)
{
    struct stat lines, log;
    return isatty(STDOUT_FILENO) && isatty(STDERR_FILENO) && fstat(STDOUT_FILENO, &lines) == 0 &&
           fstat(STDERR_FILENO, &log) == 0 && lines.st_rdev == log.st_rdev;
}

static int conclude(const struct check *c)
{
    if (c->failures == 0)
        return EXIT_DONE;
    if (!lines_meet_the_log())
        log_event(LOG_ERROR, "The sweeper cannot work with this configuration", LOG_STR, "error",
                  c->failure, LOG_INT, "failures", (int64_t)c->failures, LOG_END);
    return EXIT_FAILED;
}

int check_config_run(const struct config *config)
{
    struct check c;
    memset(&c, 0, sizeof(c));
    c.config = config;
    if (context_open(&c.context, config, on_redis, &c) != 0)
        return EXIT_FAILED;
    if (set_up(&c) != 0) {
        check_fail(&c, "out of memory or file descriptors");
    } else {
        check_ok("settings");
        timer_after_us(c.limit, CHECK_CONNECT_US);
        check_http_begin(&c);
        pg_link_start(c.pg.link);
        redis_link_start(c.context.parts.redis);
        if (loop_run(c.context.parts.loop) != 0)
            check_fail(&c, "the event loop failed");
    }
    http_client_free(c.neighbour);
    pg_link_free(c.pg.link);
    check_postgres_clear(&c);
    timer_free(c.limit);
    timer_free(c.end);
    context_close(&c.context);
    return conclude(&c);
}
