/* The feed: look-ahead mirror, overdue scan, direct mode. One job at a time on one connection;
 * poke() looks at what is wanted and starts it. */
#include "feed.h"

#include "config.h"
#include "due_queue.h"
#include "log.h"
#include "loop.h"
#include "marker.h"
#include "mirror.h"
#include "overdue.h"
#include "pages.h"
#include "pass.h"
#include "pg_link.h"
#include "redis_link.h"
#include "statements.h"
#include "sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_US (5 * 1000000)
#define BACKOFF_MIN_US (50 * 1000)
#define BACKOFF_MAX_US (5 * 1000000)
#define PAGE_SIZE 20000 /* each page looks through all that is left: few and large */
#define DIRECT_INTERVAL_US (500 * 1000) /* how often direct mode looks */
#define LATE_COMMIT_US (60 * 1000000)   /* a row may become visible this long after its look */
#define UNANSWERED_US (1000 * 1000)     /* overdue by more after a reconnect: a claim was lost */
#define RETRY_US (1000 * 1000)          /* after a look or pass that failed */
#define CLAIM_FIRST_US (20 * 1000)      /* a full look begins after a first claim */
#define GIVE_WAY_US (1000 * 1000)       /* ... and after a backlog, but waits no longer than this */

enum job { JOB_NONE, JOB_ROLE, JOB_LOOK, JOB_PASS };

struct feed {
    struct sweep *sweep;
    struct feed_events events;
    struct pg_link *link;
    struct pages *pages;
    struct pass *pass;
    struct overdue *overdue;
    struct timer *wake;
    struct timer *stopped;
    struct marker *marker;
    enum job job;
    char holder[160];

    bool want_full;       /* a look from the beginning of time, whoever holds the role */
    int64_t wanted_us;    /* monotonic: since when */
    bool want_pass;       /* release directly what a lost claim may have left in flight */
    bool feeder;          /* we hold the role */
    bool full;            /* the look under way is a full one */
    bool only_clock;      /* ... reads no page, just Postgres's clock and what is late */
    bool again;           /* ... is made only for what seemed late */
    int64_t look_at_us;   /* monotonic: the next regular look */
    int64_t scan_at_us;   /* monotonic: the next overdue scan; INT64_MAX: off */
    int64_t direct_at_us; /* monotonic: the next look of direct mode */
    int64_t looked_us;    /* Postgres's time at the start of the last look that succeeded */
    int64_t look_began_us;
    int64_t last_success_us;
    int64_t pass_began_us; /* monotonic */
    struct mirror *mirror;
    bool last_page;
    bool degraded;
    bool redis_was_up;
    bool refusing; /* Redis is up and takes nothing */

    void (*done)(void *arg);
    void *done_arg;
    bool stopping;
};

static bool redis_up(const struct feed *f)
{
    return redis_link_state(f->sweep->redis) == REDIS_LINK_UP;
}

static void job_over(struct feed *f)
{
    f->job = JOB_NONE;
    timer_after_us(f->wake, 0); /* not from here: a job may end while poke starts it */
}

static void want_full(struct feed *f, int64_t delay_us)
{
    int64_t now_us = clock_mono_us();
    if (!f->want_full)
        f->wanted_us = now_us;
    f->want_full = true;
    f->look_at_us = now_us + delay_us;
}

/* The look did not come to its end: it is wanted again, a little later. */
static void look_failed(struct feed *f, const char *error)
{
    log_event(LOG_WARN, "The feed's look failed", LOG_STR, "error", error, LOG_END);
    if (f->full)
        want_full(f, RETRY_US);
    else
        f->look_at_us = clock_mono_us() + RETRY_US;
    job_over(f);
}

/* One record when releases begin to go on without Redis, and one when they no longer do. */
static void set_degraded(struct feed *f, bool degraded, const char *error)
{
    if (degraded && !f->degraded)
        log_event(LOG_WARN, "Redis is out of reach; releases go on straight from Postgres", LOG_STR,
                  "error", error, LOG_BOOL, "degraded", 1, LOG_END);
    else if (!degraded && f->degraded)
        log_event(LOG_INFO, "Redis is back", LOG_BOOL, "degraded", 0, LOG_END);
    f->degraded = degraded;
    overdue_redis_changed(f->overdue, !degraded);
}

/* Redis is there and takes nothing (its memory is full, say): as good as out of reach, except that
 * each look asks it again. */
static void redis_refused(struct feed *f, const char *error)
{
    if (!redis_up(f)) {
        look_failed(f, error);
        return;
    }
    f->refusing = true;
    set_degraded(f, true, error);
    want_full(f, RETRY_US);
    job_over(f);
}

static void redis_took(struct feed *f)
{
    if (f->refusing)
        set_degraded(f, false, NULL);
    f->refusing = false;
}

static void look_done(struct feed *f)
{
    int64_t now_us = clock_mono_us();
    if (!f->again)
        f->look_at_us = now_us + f->sweep->config->feed_interval_us;
    if (!f->only_clock)
        f->looked_us = f->look_began_us;
    f->last_success_us = server_clock_now_us(&f->sweep->pg_clock);
    if (f->full && f->sweep->config->reconcile_interval_us > 0)
        f->scan_at_us = now_us + f->sweep->config->reconcile_interval_us;
    job_over(f);
}

static void on_page(void *arg, const struct page *page);

static void next_page(struct feed *f)
{
    if (!statements_ready(f->sweep->statements) || pages_next(f->pages, on_page, f) != 0)
        look_failed(f, "the connection to Postgres was lost");
}

static void on_mirror_done(void *arg, int64_t earliest_ms, const char *error)
{
    struct feed *f = arg;
    if (error != NULL) {
        redis_refused(f, error);
        return;
    }
    redis_took(f);
    if (earliest_ms != INT64_MAX)
        f->events.on_mirrored(f->events.arg, earliest_ms);
    if (f->last_page || f->stopping)
        look_done(f);
    else
        next_page(f);
}

static void on_page(void *arg, const struct page *page)
{
    struct feed *f = arg;
    if (page->error != NULL) {
        look_failed(f, page->error);
        return;
    }
    if (f->look_began_us == 0) {
        f->look_began_us = server_clock_now_us(&f->sweep->pg_clock);
        overdue_look(f->overdue, f->pages);
    }
    f->last_page = page->last || f->only_clock;
    if (page->n == 0 || f->only_clock) {
        look_done(f);
        return;
    }
    const char *error = mirror_page(f->mirror, f->pages, page->n);
    if (error != NULL)
        look_failed(f, error);
}

/* A full look reads everything that has expired and, with a look-ahead, what will; a regular one
 * what the last look could not see; with neither to do, none. Each brings Postgres's clock and what
 * is late. */
static void start_look(struct feed *f, bool full, bool mirror)
{
    const struct config *c = f->sweep->config;
    f->job = JOB_LOOK;
    f->full = full;
    f->want_full = false;
    f->only_clock = !full && !mirror;
    f->again = false;
    f->look_began_us = 0;
    if (full)
        pages_begin(f->pages, PAGES_FROM_START, c->lookahead_us, PAGE_SIZE);
    else if (mirror)
        pages_begin(f->pages, f->looked_us - LATE_COMMIT_US, c->lookahead_us, PAGE_SIZE);
    else
        pages_begin(f->pages, PAGES_NOWHERE, 0, 1);
    pages_want_late(f->pages);
    next_page(f);
}

static void on_role(void *arg, bool held, int64_t remaining_ms, const char *owner,
                    const char *error)
{
    struct feed *f = arg;
    (void)remaining_ms;
    (void)owner;
    if (error != NULL) {
        redis_refused(f, error);
        return;
    }
    if (held)
        redis_took(f);
    bool took_over = held && !f->feeder;
    f->feeder = held;
    bool scan = clock_mono_us() >= f->scan_at_us;
    if (f->stopping) {
        job_over(f);
        return;
    }
    start_look(f, held && (took_over || scan || f->looked_us == 0),
               held && f->sweep->config->lookahead_us > 0);
}

/* Regular looks are made by one sweeper at a time: the one that holds the role. Its lease outlives
 * the pause between two looks by a quarter. */
static void start_role(struct feed *f)
{
    int64_t ttl_ms = f->sweep->config->feed_interval_us * 5 / 4 / 1000 + 1000;
    f->job = JOB_ROLE;
    if (due_queue_role(f->sweep->queue, "feeder", f->holder, ttl_ms, on_role, f) != 0)
        look_failed(f, "Redis went away");
}

static void on_pass(void *arg, const struct pass_result *result)
{
    struct feed *f = arg;
    if (!result->ok) {
        log_event(LOG_WARN, "A direct pass over Postgres failed", LOG_STR, "error", result->error,
                  LOG_END);
        f->direct_at_us = clock_mono_us() + RETRY_US;
    } else if (f->degraded && !f->stopping) {
        overdue_pass_done(f->overdue, f->pass_began_us);
    }
    job_over(f);
}

static void start_pass(struct feed *f, int64_t min_overdue_us)
{
    f->job = JOB_PASS;
    f->want_pass = false;
    f->pass_began_us = clock_mono_us();
    f->direct_at_us = f->pass_began_us + DIRECT_INTERVAL_US;
    pass_run(f->pass, min_overdue_us, on_pass, f);
}

static void on_role_released(void *arg, const char *error)
{
    struct feed *f = arg;
    if (error != NULL)
        log_event(LOG_DEBUG, "The feeder's role is left to its lease", LOG_STR, "error", error,
                  LOG_END);
    job_over(f);
}

static void check_stopped(struct feed *f)
{
    if (f->job == JOB_PASS)
        pass_stop(f->pass);
    if (f->job != JOB_NONE || f->done == NULL)
        return;
    if (f->feeder && redis_up(f)) {
        f->feeder = false;
        if (due_queue_role_release(f->sweep->queue, "feeder", f->holder, on_role_released, f) ==
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
    start_look(f, false, false);
    f->again = true;
}

static int64_t next_wake_us(const struct feed *f)
{
    int64_t at_us = f->look_at_us < f->scan_at_us ? f->look_at_us : f->scan_at_us;
    int64_t again_us = overdue_again_us(f->overdue);
    return again_us < at_us ? again_us : at_us;
}

/* What Redis knows of is released first: a full look beside a backlog reads all of that again. */
static int64_t full_look_at_us(const struct feed *f, int64_t now_us)
{
    if (!f->sweep->backlog || now_us >= f->wanted_us + GIVE_WAY_US)
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
    if (!statements_ready(f->sweep->statements)) { /* a worker reads the catalog */
        timer_after_us(f->wake, RETRY_US / 20);
    } else if (f->degraded && (!redis_up(f) || f->look_at_us > now_us)) {
        if (f->direct_at_us <= now_us)
            start_pass(f, 0);
        else
            timer_at_us(f->wake, f->direct_at_us);
    } else if (!redis_up(f)) {
        return; /* it has not been heard of yet */
    } else if (f->want_full) {
        int64_t at_us = full_look_at_us(f, now_us);
        if (at_us <= now_us)
            start_look(f, true, true);
        else
            timer_at_us(f->wake, at_us);
    } else if (f->want_pass) {
        start_pass(f, UNANSWERED_US);
    } else if (f->look_at_us <= now_us) {
        start_role(f);
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

static void on_pg_state(void *arg, bool up, const char *reason)
{
    struct feed *f = arg;
    (void)reason;
    if (up) { /* nobody looked meanwhile */
        want_full(f, CLAIM_FIRST_US);
        poke(f);
    }
}

static void on_stopped(void *arg)
{
    struct feed *f = arg;
    void (*done)(void *) = f->done;
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
    want_full(f, 0);
    f->want_pass = true;
    poke(f);
}

struct feed *feed_new(struct sweep *sweep, const struct feed_events *events)
{
    struct feed *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    const struct pg_link_options link = {
        .conninfo = sweep->config->conninfo,
        .application_name = "reservation-sweeper feed",
        .connect_timeout_us = CONNECT_TIMEOUT_US,
        .backoff_min_us = BACKOFF_MIN_US,
        .backoff_max_us = BACKOFF_MAX_US,
        .on_state = on_pg_state,
        .arg = f,
    };
    f->sweep = sweep;
    f->events = *events;
    f->scan_at_us = INT64_MAX;
    name_holder(f);
    f->link = pg_link_new(sweep->loop, &link);
    f->wake = timer_new(sweep->loop, on_wake, f);
    f->stopped = timer_new(sweep->loop, on_stopped, f);
    f->marker = marker_new(sweep, on_data_lost, f);
    f->overdue = overdue_new(sweep, true, on_overdue, f);
    f->mirror = mirror_new(sweep, on_mirror_done, f);
    if (f->link != NULL) {
        f->pages = pages_new(sweep, f->link);
        f->pass = pass_new(sweep, &f->link, 1, true);
    }
    if (f->wake == NULL || f->stopped == NULL || f->marker == NULL || f->overdue == NULL ||
        f->mirror == NULL || f->pages == NULL || f->pass == NULL) {
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
    pass_free(f->pass);
    pages_free(f->pages);
    overdue_free(f->overdue);
    timer_free(f->wake);
    timer_free(f->stopped);
    marker_free(f->marker);
    mirror_free(f->mirror);
    free(f);
}

void feed_start(struct feed *f)
{
    pg_link_start(f->link);
}

void feed_redis_changed(struct feed *f)
{
    bool up = redis_up(f);
    f->refusing = false;
    set_degraded(f, !up, redis_link_last_error(f->sweep->redis));
    marker_redis_changed(f->marker);
    if (up) {
        want_full(f, CLAIM_FIRST_US);
        f->want_pass = f->redis_was_up; /* a claim of ours may have been lost with the connection */
        f->redis_was_up = true;
    }
    poke(f);
}

void feed_stop(struct feed *f, void (*done)(void *arg), void *arg)
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

void feed_overdue(const struct feed *f, struct overdue_view *view)
{
    overdue_read(f->overdue, view);
}

uint64_t feed_postgres_reconnects(const struct feed *f)
{
    return pg_link_reconnects(f->link);
}
