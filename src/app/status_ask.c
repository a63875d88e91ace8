/* What --status asks of the servers of one queue, one thing after the other, without the daemon. */
#include "app/context.h"
#include "app/status.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "feed/overdue.h"
#include "health/health.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "queue/pause_key.h"
#include "queue/repair.h"
#include "release/held.h"
#include "release/pages.h"
#include "store/statements.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_US (5 * SECOND_US)
/* How far ahead the next expiry is looked for. */
#define AHEAD_US (3650 * DAY_US)

/* The answer is there: go on, outside its callback. */
static void go_on(struct status *s)
{
    timer_after_us(s->advance, 0);
}

static void on_sizes(void *arg, const struct due_sizes *sizes, const char *error)
{
    struct status *s = arg;
    if (error == NULL) {
        parts_note_sizes(&s->context.parts, sizes, s->sizes_asked_us, clock_mono_us());
        s->redis_known = true;
    }
    go_on(s);
}

static void on_probed(void *arg, const char *error)
{
    struct status *s = arg;
    if (error != NULL && redis_link_state(s->context.parts.redis) == REDIS_LINK_UP)
        snprintf(s->refused, sizeof(s->refused), "%s", error);
    go_on(s);
}

static bool ask_whether_it_may(struct status *s)
{
    return due_queue_probe(s->context.parts.queue, on_probed, s) == 0;
}

static bool ask_sizes(struct status *s)
{
    if (s->refused[0] != '\0')
        return false;
    s->sizes_asked_us = clock_mono_us();
    return due_queue_sizes(s->context.parts.queue, on_sizes, s) == 0;
}

static void on_paused(void *arg, const struct due_pause *pause, const char *error)
{
    struct status *s = arg;
    if (error == NULL && pause->record.text != NULL)
        s->paused = pause_record_read(&s->pause, pause->record.text, pause->record.len, 0);
    go_on(s);
}

static bool ask_pause(struct status *s)
{
    return s->redis_known && due_queue_paused(s->context.parts.queue, on_paused, s) == 0;
}

static void on_held(void *arg, const char *reason, const char *error)
{
    struct status *s = arg;
    (void)error; /* others of Redis tell it */
    snprintf(s->held, sizeof(s->held), "%s", reason);
    go_on(s);
}

static bool ask_held(struct status *s)
{
    return s->redis_known && held_ask(s->context.parts.queue, on_held, s) == 0;
}

static void on_failures(void *arg, const char *cursor, const struct due_found *found, size_t n,
                        const char *error)
{
    struct status *s = arg;
    (void)cursor;
    if (error == NULL)
        s->failures = health_failures(found, n);
    go_on(s);
}

static bool ask_failures(struct status *s)
{
    return s->redis_known && s->context.parts.sizes.failed > 0 &&
           due_queue_walk(s->context.parts.queue, DUE_IN_FAILED, "0", on_failures, s) == 0;
}

static void on_statements(void *arg, const char *error)
{
    struct status *s = arg;
    if (error != NULL && pg_link_up(s->link))
        snprintf(s->unusable, sizeof(s->unusable), "%s", error);
    else if (error != NULL)
        snprintf(s->error, sizeof(s->error), "%s", error);
    go_on(s);
}

static bool ask_catalog(struct status *s)
{
    if (statements_load(s->context.parts.statements, s->link, &s->context.parts.pg_clock,
                        on_statements, s) == 0)
        return true;
    const char *why = pg_link_last_error(s->link);
    snprintf(s->error, sizeof(s->error), "%s", why[0] != '\0' ? why : STATUS_NO_ANSWER);
    return false;
}

/* Asks for a page. */
static bool ask_page(struct status *s, void (*done)(void *arg, const struct page *page))
{
    if (!statements_ready(s->context.parts.statements) || s->error[0] != '\0')
        return false;
    if (pages_next(s->pages, done, s) == 0)
        return true;
    snprintf(s->error, sizeof(s->error), "the connection was lost");
    return false;
}

/* A statement that fails on a connection that stays says nothing of reach. */
static void note_error(struct status *s, const char *error)
{
    if (!pg_link_up(s->link))
        snprintf(s->error, sizeof(s->error), "%s", error);
    else if (s->unknown[0] == '\0')
        snprintf(s->unknown, sizeof(s->unknown), "%s", error);
}

static void on_overdue(void *arg)
{
    go_on(arg);
}

static void on_late(void *arg, const struct page *page)
{
    struct status *s = arg;
    if (page->error == NULL) {
        overdue_take(s->overdue, s->pages);
        return;
    }
    note_error(s, page->error);
    go_on(s);
}

static bool ask_late(struct status *s)
{
    pages_begin(s->pages, PAGES_NOWHERE, 0, 1, 1);
    overdue_want(s->overdue, s->pages);
    return ask_page(s, on_late);
}

/* Behind hundreds that are kept or refused. */
static bool ask_hidden(struct status *s)
{
    return overdue_hidden(s->overdue) && ask_late(s);
}

static void on_next(void *arg, const struct page *page)
{
    struct status *s = arg;
    s->next_known = page->error == NULL;
    if (page->error != NULL)
        note_error(s, page->error);
    else if (page->n > 0)
        s->next_us = ms_rounded_up(pages_expires_us(s->pages, 0)) * MS_US; /* as Redis has it */
    go_on(s);
}

static bool ask_next(struct status *s)
{
    pages_begin(s->pages, server_clock_now_us(&s->context.parts.pg_clock), AHEAD_US, 1, 1);
    return ask_page(s, on_next);
}

/* One after the other, each when the one before has its answer. What is late is looked up in Redis
 * too, so Redis comes first. A step returns false when there is nothing to wait for. */
static bool (*const steps[])(struct status *s) = {ask_whether_it_may, ask_sizes,  ask_failures,
                                                  ask_pause,          ask_held,   ask_catalog,
                                                  ask_late,           ask_hidden, ask_next};

#define STEPS ((int)(sizeof(steps) / sizeof(steps[0])))

static void on_advance(void *arg)
{
    struct status *s = arg;
    s->connected = true;
    while (s->step < STEPS)
        if (steps[s->step++](s))
            return;
    loop_stop(s->context.parts.loop);
}

static void check_connected(struct status *s)
{
    if (!s->connected && pg_link_up(s->link) &&
        redis_link_state(s->context.parts.redis) == REDIS_LINK_UP)
        go_on(s);
}

static void on_postgres(void *arg, bool up, const char *reason)
{
    (void)up;
    (void)reason;
    check_connected(arg);
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    (void)state;
    (void)reason;
    check_connected(arg);
}

static int set_up(struct status *s)
{
    struct parts *parts = &s->context.parts;
    const struct pg_link_options options = {
        .source = parts->postgres,
        .application_name = "reservation-sweeper status",
        .read_only_ok = true,
        .on_state = on_postgres,
        .arg = s,
    };
    const struct overdue_options overdue = {.on_decided = on_overdue, .arg = s};
    s->link = pg_link_new(parts->loop, &options);
    s->advance = timer_new(parts->loop, on_advance, s);
    s->overdue = overdue_new(parts, &overdue);
    if (s->link != NULL)
        s->pages = pages_new(parts, s->link);
    return s->advance != NULL && s->overdue != NULL && s->pages != NULL ? 0 : -1;
}

void status_ask(struct status *s, const struct config *config)
{
    s->queue = config->queue->name;
    if (context_open(&s->context, config, on_redis, s) != 0)
        return;
    if (set_up(s) != 0) {
        log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
        return;
    }
    timer_after_us(s->advance, CONNECT_US);
    pg_link_start(s->link);
    redis_link_start(s->context.parts.redis);
    s->asked = loop_run(s->context.parts.loop) == 0;
    if (!s->asked)
        log_event(LOG_ERROR, "The event loop failed", LOG_END);
}

void status_clear(struct status *s)
{
    context_close_queue(&s->context);
    pg_link_free(s->link);
    pages_free(s->pages);
    overdue_free(s->overdue);
    timer_free(s->advance);
    json_decref(s->failures);
    context_close(&s->context);
}
