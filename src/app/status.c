/* --status: what Redis and Postgres say of each queue, as a table or as JSON. */
#include "app/status.h"

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
#include "link/pg_link.h"
#include "link/redis_finder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fill_servers(const struct status *s, struct health_report *r)
{
    const struct parts *parts = &s->context.parts;
    r->postgres = (struct health_server){
        .address = context_postgres(&s->context),
        .up = s->error[0] == '\0',
        .error = s->error,
        .clock_known = parts->pg_clock.known,
        .clock_offset_us = server_clock_host_offset_us(&parts->pg_clock),
        .host = parts->postgres.home->server,
    };
    const char *why = redis_finder_reason(parts->finder, redis_link_last_error(parts->redis));
    r->redis = (struct health_server){
        .address = context_redis(&s->context),
        .up = s->redis_known || s->refused[0] != '\0',
        .error = why[0] != '\0' ? why : STATUS_NO_ANSWER,
        .where = redis_finder_where(parts->finder),
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
    if (s->paused && (r->now_us == 0 || s->pause.until_ms * MS_US > r->now_us))
        health_paused(r, &s->pause);
    r->next_due_us = s->next_us;
    r->next_due_known = s->next_known;
    /* Redis may know of an earlier one: a retry, or one that has expired. */
    if (s->redis_known && parts->sizes.next_ms < INT64_MAX / MS_US &&
        (r->next_due_us == 0 || parts->sizes.next_ms * MS_US < r->next_due_us))
        r->next_due_us = parts->sizes.next_ms * MS_US;
    r->held = s->held;
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
            status_ask(&all[i], config_queue(config, i));
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
