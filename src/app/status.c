/* --status: what Redis and Postgres say of each queue, one after the other, without the daemon. */
#include "app/context.h"
#include "app/modes.h"
#include "app/status_table.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "config/queues.h"
#include "feed/overdue.h"
#include "health/health.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "queue/repair.h"
#include "release/pages.h"
#include "store/statements.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_US (5 * SECOND_US)
#define NO_ANSWER "no answer within 5 s"
/* How far ahead the next expiry is looked for. */
#define AHEAD_US (3650 * DAY_US)

/* Of one queue. */
struct status {
    struct context context;
    const char *queue;
    bool asked; /* the steps have been taken */
    struct pg_link *link;
    struct pages *pages;
    struct overdue *overdue;
    struct timer *advance; /* the next step; while connecting, its end */
    int step;              /* how many have been taken */
    bool connected;        /* ... or there is no more waiting for it */

    struct json_t *failures;
    int64_t sizes_asked_us;        /* monotonic: when Redis was asked */
    int64_t next_us;               /* the next expiry that Postgres knows; 0: none */
    char error[PG_REASON_SIZE];    /* why Postgres could not be asked; "" when it could */
    char unusable[PG_REASON_SIZE]; /* why its tables cannot be used */
    char refused[256];             /* why Redis, which is there, cannot be used */
    char unknown[PG_REASON_SIZE];  /* why Postgres did not say what is late */
    bool redis_known;
};

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
    snprintf(s->error, sizeof(s->error), "%s", why[0] != '\0' ? why : NO_ANSWER);
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

static void on_next(void *arg, const struct page *page)
{
    struct status *s = arg;
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
static bool (*const steps[])(struct status *s) = {ask_whether_it_may, ask_sizes, ask_failures,
                                                  ask_catalog,        ask_late,  ask_next};

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

static void fill_servers(const struct status *s, struct health_report *r)
{
    const struct parts *parts = &s->context.parts;
    r->postgres = (struct health_server){
        .address = context_postgres(&s->context),
        .up = s->error[0] == '\0',
        .error = s->error,
        .clock_known = parts->pg_clock.known,
        .clock_offset_us = server_clock_host_offset_us(&parts->pg_clock),
    };
    const char *unusable = context_redis_unusable(&s->context);
    const char *why = unusable != NULL ? unusable : redis_link_last_error(parts->redis);
    r->redis = (struct health_server){
        .address = context_redis(&s->context),
        .up = s->redis_known || (s->refused[0] != '\0' && unusable == NULL),
        .error = why[0] != '\0' ? why : NO_ANSWER,
        .clock_known = parts->redis_clock.known,
        .clock_offset_us = server_clock_host_offset_us(&parts->redis_clock),
    };
}

static void fill(const struct status *s, struct health_report *r)
{
    const struct parts *parts = &s->context.parts;
    struct overdue_view view;
    memset(r, 0, sizeof(*r));
    r->queue = s->queue;
    fill_servers(s, r);
    overdue_read(s->overdue, &view);
    r->degraded = !s->redis_known;
    r->degraded_reason = r->redis.up ? s->refused : r->redis.error;
    r->sizes_known = r->kept_known = s->redis_known;
    r->pending = parts->sizes.pending;
    r->inflight = parts->sizes.inflight;
    r->failed = parts->sizes.failed;
    r->kept = parts->sizes.kept;
    r->attention = parts->sizes.attention;
    r->locked = view.locked;
    r->locked_known = view.known && s->redis_known; /* which knows them */
    r->failures = s->failures;
    r->now_us = server_clock_now_us(&parts->pg_clock);
    r->overdue_since_us = view.since_us;
    r->overdue_id = view.id;
    r->overdue_product = view.product;
    r->overdue_known = view.known;
    r->overdue_unknown = s->unknown;
    r->next_due_us = s->next_us;
    /* Redis may know of an earlier one: a retry, or one that has expired. */
    if (s->redis_known && parts->sizes.next_ms < INT64_MAX / MS_US &&
        (r->next_due_us == 0 || parts->sizes.next_ms * MS_US < r->next_due_us))
        r->next_due_us = parts->sizes.next_ms * MS_US;
    health_judge(r, s->unusable);
}

static void print(const struct health_report *reports, int n, bool json)
{
    if (json || !isatty(STDOUT_FILENO)) {
        char *text = health_status_json(reports, n);
        puts(text != NULL ? text : "{}");
        free(text);
        return;
    }
    for (int i = 0; i < n; i++) {
        if (n > 1)
            printf("%s%-16s%s\n", i > 0 ? "\n" : "", "queue", reports[i].queue);
        status_table_print(&reports[i], stdout);
    }
}

/* Says what keeps this queue from being well known; its exit status. */
static int conclude(const struct status *s, const struct health_report *report)
{
    if (!report->postgres.up)
        log_event(LOG_ERROR, "Postgres is out of reach", LOG_STR, "postgres",
                  context_postgres(&s->context), LOG_STR, "error", report->postgres.error, LOG_END);
    if (!report->redis.up)
        log_event(LOG_ERROR, "Redis is out of reach", LOG_STR, "redis", context_redis(&s->context),
                  LOG_STR, "error", report->redis.error, LOG_END);
    else if (s->refused[0] != '\0')
        log_event(LOG_ERROR, "Redis refuses what the sweeper asks of it", LOG_STR, "redis",
                  context_redis(&s->context), LOG_STR, "error", s->refused, LOG_END);
    if (s->unusable[0] != '\0')
        log_event(LOG_ERROR, "The database cannot be used as it is", LOG_STR, "error", s->unusable,
                  LOG_END);
    if (s->unknown[0] != '\0')
        log_event(LOG_ERROR, "What is due cannot be looked for in Postgres", LOG_STR, "error",
                  s->unknown, LOG_END);
    return report->postgres.up && !report->degraded && s->unusable[0] == '\0' &&
                   s->unknown[0] == '\0'
               ? EXIT_DONE
               : EXIT_FAILED;
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

/* Asks the servers; what is known then stays until status_clear. */
static void ask(struct status *s, const struct config *config)
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

static void status_clear(struct status *s)
{
    context_close_queue(&s->context);
    pg_link_free(s->link);
    pages_free(s->pages);
    overdue_free(s->overdue);
    timer_free(s->advance);
    json_decref(s->failures);
    context_close(&s->context);
}

/* All of them, or nothing where one could not be asked at all. */
static int report_all(struct status *all, struct health_report *reports, int n, bool json)
{
    int status = EXIT_DONE;
    for (int i = 0; i < n; i++) {
        if (!all[i].asked)
            return EXIT_FAILED;
        fill(&all[i], &reports[i]);
    }
    print(reports, n, json);
    for (int i = 0; i < n; i++) {
        const char *queue = log_set_queue(all[i].queue);
        if (conclude(&all[i], &reports[i]) != EXIT_DONE)
            status = EXIT_FAILED;
        (void)log_set_queue(queue);
    }
    return status;
}

int status_run(const struct config *config)
{
    int n = config_queues(config), status = EXIT_FAILED;
    struct status *all = calloc((size_t)n, sizeof(*all));
    struct health_report *reports = calloc((size_t)n, sizeof(*reports));
    if (all != NULL && reports != NULL) {
        for (int i = 0; i < n; i++) {
            const char *queue = log_set_queue(config_queue(config, i)->queue->name);
            ask(&all[i], config_queue(config, i));
            (void)log_set_queue(queue);
        }
        status = report_all(all, reports, n, config->json);
        for (int i = 0; i < n; i++)
            status_clear(&all[i]);
    }
    free(all);
    free(reports);
    return status;
}
