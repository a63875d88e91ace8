/* The feed: look-ahead mirror, overdue scan, direct mode. One job at a time on one connection;
 * poke() looks at what is wanted and starts it. */
#include "base/callback.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/time_units.h"
#include "config/config.h"
#include "feed/data_loss.h"
#include "feed/direct.h"
#include "feed/feed_private.h"
#include "feed/late.h"
#include "feed/mirror.h"
#include "feed/overdue.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "queue/due_queue.h"
#include "release/pages.h"
#include "release/parts.h"
#include "store/pg_watch.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKOFF_MAX_US (5 * SECOND_US)
#define DIRECT_INTERVAL_US (500 * MS_US) /* how often direct mode looks */
#define UNANSWERED_US SECOND_US          /* overdue by more after a reconnect: a claim was lost */
#define CLAIM_FIRST_US (20 * MS_US)      /* a full look begins after a first claim */
#define LOST_MANY 500
#define LONG_IDS_US (15 * SECOND_US)
#define OUT_OF_REACH_US (10 * SECOND_US) /* a restart is over sooner */
#define GIVE_WAY_US (1500 * MS_US) /* ... and after a backlog, but waits no longer than this */

void feed_job_over(struct feed *f)
{
    f->job = JOB_NONE;
    timer_after_us(f->wake, 0); /* not from here: a job may end while poke starts it */
}

void feed_want_full(struct feed *f, int64_t delay_us)
{
    int64_t now_us = clock_mono_us();
    if (!f->want_full)
        f->wanted_us = now_us;
    f->want_full = true;
    f->look_at_us = now_us + delay_us;
}

void feed_failed(struct feed *f, const char *message, const char *error, bool unexplained)
{
    enum outage_say say = OUTAGE_SILENT;
    overdue_failed(f->overdue, error);
    if (unexplained && pg_link_up(f->link))
        say = outage_on(&f->failing, error, true, clock_mono_us());
    log_event(say == OUTAGE_ERROR  ? LOG_ERROR
              : say == OUTAGE_WARN ? LOG_WARN
                                   : LOG_DEBUG,
              message, LOG_STR, "error", error, LOG_INT, "awaySeconds",
              f->failing.lasted_us / SECOND_US, LOG_END);
}

void feed_succeeded(struct feed *f)
{
    if (outage_off(&f->failing, clock_mono_us()) == OUTAGE_OVER)
        log_event(LOG_INFO, "The feed's looks succeed again", LOG_STR, "error", f->failing.reason,
                  LOG_INT, "awaySeconds", f->failing.lasted_us / SECOND_US, LOG_END);
}

static void on_pass(void *arg, const char *error)
{
    struct feed *f = arg;
    if (error != NULL) {
        feed_failed(f, "A direct pass over Postgres failed", error, true);
        direct_note(f->direct);
        f->direct_at_us = clock_mono_us() + FEED_RETRY_US;
    } else {
        feed_succeeded(f);
    }
    feed_job_over(f);
}

static void start_pass(struct feed *f, int64_t min_overdue_us)
{
    f->job = JOB_PASS;
    f->want_pass = false;
    f->direct_at_us = clock_mono_us() + DIRECT_INTERVAL_US;
    direct_run(f->direct, min_overdue_us, on_pass, f);
}

static void on_catalog(void *arg, const char *error)
{
    struct feed *f = arg;
    (void)error; /* of the tables the note tells, of the connection its own record */
    parts_note_catalog(f->parts);
    f->events.on_statements(f->events.arg);
    feed_job_over(f);
}

static void start_catalog(struct feed *f)
{
    if (statements_load(f->parts->statements, f->link, &f->parts->pg_clock, on_catalog, f) == 0)
        f->job = JOB_CATALOG;
    else
        timer_after_us(f->wake, FEED_RETRY_US);
}

static void on_role_released(void *arg, const char *error)
{
    struct feed *f = arg;
    if (error != NULL)
        log_event(LOG_DEBUG, "The feeder's role is left to its lease", LOG_STR, "error", error,
                  LOG_END);
    feed_job_over(f);
}

static void check_stopped(struct feed *f)
{
    direct_stop(f->direct);
    if (f->job != JOB_NONE || f->done == NULL)
        return;
    if (f->feeder && parts_redis_usable(f->parts)) {
        f->feeder = false;
        if (due_queue_role_release(f->parts->queue, "feeder", f->holder, on_role_released, f) ==
            0) {
            f->job = JOB_ROLE;
            return;
        }
    }
    timer_after_us(f->stopped, 0);
}

/* Something seemed late: whether it still is. */
static void look_again(struct feed *f)
{
    feed_start_look(f, false, false);
    f->again = true;
}

static int64_t next_wake_us(const struct feed *f)
{
    int64_t at_us = f->look_at_us < f->scan_at_us ? f->look_at_us : f->scan_at_us;
    int64_t again_us = overdue_again_us(f->overdue);
    int64_t catalog_us = statements_due_us(f->parts->statements);
    at_us = catalog_us < at_us ? catalog_us : at_us;
    return again_us < at_us ? again_us : at_us;
}

/* What Redis knows of is released first: a full look beside a backlog reads all of that again. */
static int64_t full_look_at_us(const struct feed *f, int64_t now_us)
{
    if (!f->parts->backlog || now_us >= f->wanted_us + GIVE_WAY_US)
        return f->look_at_us;
    return now_us + CLAIM_FIRST_US > f->look_at_us ? now_us + CLAIM_FIRST_US : f->look_at_us;
}

/* What is to be done now, or when to look again. */
static void poke(struct feed *f)
{
    timer_clear(f->wake);
    if (f->stopping) {
        check_stopped(f);
        return;
    }
    if (f->job != JOB_NONE || !pg_link_up(f->link) || pg_link_busy(f->link))
        return;
    int64_t now_us = clock_mono_us();
    if (statements_due_us(f->parts->statements) <= now_us) {
        start_catalog(f);
    } else if (!statements_ready(f->parts->statements)) { /* it is being read, or was in vain */
        timer_after_us(f->wake, FEED_RETRY_US / 20);
    } else if (parts_degraded(f->parts)) {
        if (f->direct_at_us <= now_us)
            start_pass(f, 0);
        else
            timer_at_us(f->wake, f->direct_at_us);
    } else if (!parts_redis_usable(f->parts)) {
        return; /* it has not been heard of yet */
    } else if (f->want_full) {
        int64_t at_us = full_look_at_us(f, now_us);
        if (at_us <= now_us)
            feed_start_look(f, true, true);
        else
            timer_at_us(f->wake, at_us);
    } else if (f->want_pass) {
        start_pass(f, UNANSWERED_US);
    } else if (f->look_at_us <= now_us) {
        feed_start_role(f);
    } else if (overdue_again_us(f->overdue) <= now_us) {
        look_again(f);
    } else {
        timer_at_us(f->wake, next_wake_us(f));
    }
}

static void on_wake(void *arg)
{
    struct feed *f = arg;
    if (clock_mono_us() >= f->scan_at_us)
        f->look_at_us = 0; /* the scan comes with a look */
    poke(f);
}

static void on_overdue(void *arg)
{
    poke(arg);
}

/* Earlier than a regular look would, and whatever the look-ahead: Redis is told of what is late. */
static bool on_lost(void *arg, const struct late_row *const *rows, size_t n)
{
    struct feed *f = arg;
    int64_t now_us = clock_mono_us();
    if (f->stopping || !parts_redis_usable(f->parts) || mirror_busy(f->lost))
        return false;
    if (n >= LOST_MANY) { /* a look from the beginning has them all, and what is behind */
        feed_want_full(f, 0);
        return true;
    }
    struct mirror_row *fit = calloc(n, sizeof(*fit));
    size_t nfit = 0;
    for (size_t i = 0; i < n && fit != NULL; i++)
        if (strlen(rows[i]->id) <= ID_MAX_LEN)
            fit[nfit++] = (struct mirror_row){rows[i]->id, rows[i]->expires_us};
    if (fit != NULL && nfit < n && now_us - f->long_ids_us > LONG_IDS_US) {
        f->want_pass = true;
        f->long_ids_us = now_us;
    }
    const char *error = nfit > 0 ? mirror_rows(f->lost, fit, nfit) : NULL;
    free(fit);
    return error == NULL;
}

static void on_lost_told(void *arg, int64_t earliest_ms, const char *error)
{
    struct feed *f = arg;
    if (error != NULL) /* the next look finds them again */
        log_event(LOG_DEBUG, "Redis could not be told what is late", LOG_STR, "error", error,
                  LOG_END);
    else if (earliest_ms != INT64_MAX && !f->stopping)
        f->events.on_mirrored(f->events.arg, earliest_ms);
}

static void on_pg_state(void *arg, bool up, const char *reason)
{
    struct feed *f = arg;
    pg_watch_link(f->parts->pg_watch, PG_WATCH_FEED, up, reason);
    if (!up && f->down_us == 0) {
        f->down_us = clock_mono_us();
    } else if (up) { /* nobody looked meanwhile */
        f->down_us = 0;
        statements_doubt(f->parts->statements);
        feed_want_full(f, CLAIM_FIRST_US);
        poke(f);
    }
}

static void on_stopped(void *arg)
{
    struct feed *f = arg;
    event_cb *done = f->done;
    f->done = NULL;
    if (done != NULL)
        done(f->done_arg);
}

static void name_holder(struct feed *f)
{
    char host[128] = "unknown";
    (void)gethostname(host, sizeof(host) - 1);
    snprintf(f->holder, sizeof(f->holder), "%s:%ld:%lld", host, (long)getpid(),
             (long long)(clock_mono_us() % 1000000000));
}

/* Entries are gone, and claims: as after a reconnect. */
static void on_data_lost(void *arg)
{
    struct feed *f = arg;
    feed_want_full(f, 0);
    f->want_pass = true;
    poke(f);
}

struct feed *feed_new(struct parts *parts, const struct feed_events *events)
{
    struct feed *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    const struct pg_link_options link = {
        .source = parts->postgres,
        .application_name = "reservation-sweeper feed",
        .backoff_max_us = BACKOFF_MAX_US,
        .on_state = on_pg_state,
        .arg = f,
    };
    const struct overdue_options overdue = {
        .confirm = true, .on_decided = on_overdue, .on_lost = on_lost, .arg = f};
    f->parts = parts;
    f->events = *events;
    f->scan_at_us = INT64_MAX;
    name_holder(f);
    f->link = pg_link_new(parts->loop, &link);
    f->wake = timer_new(parts->loop, on_wake, f);
    f->stopped = timer_new(parts->loop, on_stopped, f);
    f->data_loss = data_loss_new(parts, on_data_lost, f);
    f->overdue = overdue_new(parts, &overdue);
    f->mirror = mirror_new(parts, feed_mirrored, f);
    f->lost = mirror_new(parts, on_lost_told, f);
    if (f->link != NULL) {
        f->pages = pages_new(parts, f->link);
        f->direct = direct_new(parts, f->link, f->overdue);
    }
    if (f->wake == NULL || f->stopped == NULL || f->data_loss == NULL || f->overdue == NULL ||
        f->mirror == NULL || f->lost == NULL || f->pages == NULL || f->direct == NULL) {
        feed_free(f);
        return NULL;
    }
    return f;
}

void feed_free(struct feed *f)
{
    if (f == NULL)
        return;
    f->stopping = true;
    pg_link_free(f->link);
    direct_free(f->direct);
    pages_free(f->pages);
    overdue_free(f->overdue);
    timer_free(f->wake);
    timer_free(f->stopped);
    data_loss_free(f->data_loss);
    mirror_free(f->mirror);
    mirror_free(f->lost);
    free(f);
}

void feed_start(struct feed *f)
{
    pg_link_start(f->link);
}

void feed_redis_changed(struct feed *f)
{
    overdue_redis_changed(f->overdue);
    data_loss_redis_changed(f->data_loss);
    if (parts_redis_usable(f->parts)) {
        feed_want_full(f, CLAIM_FIRST_US);
        f->want_pass = f->redis_was_up; /* a claim of ours may have been lost */
        f->redis_was_up = true;
    }
    poke(f);
}

void feed_stop(struct feed *f, event_cb *done, void *arg)
{
    f->stopping = true;
    f->done = done;
    f->done_arg = arg;
    poke(f);
}

int64_t feed_last_success_us(const struct feed *f)
{
    return f->last_success_us;
}

void feed_overdue(struct feed *f, struct overdue_view *view)
{
    if (f->job == JOB_PASS)
        direct_note(f->direct);
    overdue_read(f->overdue, view);
}

const char *feed_postgres_error(const struct feed *f)
{
    bool lost = f->down_us > 0 && clock_mono_us() - f->down_us > OUT_OF_REACH_US;
    return lost ? pg_link_last_error(f->link) : NULL;
}

uint64_t feed_postgres_reconnects(const struct feed *f)
{
    return pg_link_reconnects(f->link);
}
