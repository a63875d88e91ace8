/* The feed's looks at Postgres: who makes them, and what each brings into Redis. */
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "feed/feed_private.h"
#include "feed/mirror.h"
#include "feed/overdue.h"
#include "link/pg_link.h"
#include "queue/due_queue.h"
#include "release/pages.h"
#include "release/parts.h"
#include "store/statements.h"

#define PAGE_SIZE 2000 /* copied for Redis: 5,000 take a megabyte more, and are no faster */
#define LATE_COMMIT_US MINUTE_US /* a row may become visible this long after its look */

/* The look did not come to its end: it is wanted again, a little later. */
static void look_failed(struct feed *f, const char *error)
{
    feed_failed(f, "The feed's look failed", error, parts_redis_usable(f->parts));
    if (f->full)
        feed_want_full(f, FEED_RETRY_US);
    else
        f->look_at_us = clock_mono_us() + FEED_RETRY_US;
    feed_job_over(f);
}

static void look_done(struct feed *f)
{
    int64_t now_us = clock_mono_us();
    if (!f->again)
        f->look_at_us = now_us + f->parts->config->feed_interval_us;
    if (!f->only_clock)
        f->looked_us = f->look_began_us;
    f->last_success_us = server_clock_now_us(&f->parts->pg_clock);
    feed_succeeded(f);
    if (f->full && f->parts->config->scan_interval_us > 0)
        f->scan_at_us = now_us + f->parts->config->scan_interval_us;
    feed_job_over(f);
}

static void on_page(void *arg, const struct page *page);

/* A look that takes long tells what is late as often as others do. */
static void next_page(struct feed *f)
{
    if (f->look_began_us == 0 || overdue_again_us(f->overdue) <= clock_mono_us())
        overdue_want(f->overdue, f->pages);
    if (statements_ready(f->parts->statements) && pages_next(f->pages, on_page, f) == 0)
        return;
    look_failed(f, pg_link_up(f->link) ? "the statements have to be made anew"
                                       : "the connection to Postgres was lost");
}

void feed_mirrored(void *arg, int64_t earliest_ms, const char *error)
{
    struct feed *f = arg;
    if (error != NULL) {
        look_failed(f, error);
        return;
    }
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
    if (f->look_began_us == 0)
        f->look_began_us = server_clock_now_us(&f->parts->pg_clock);
    if (pages_has_late(f->pages))
        overdue_look(f->overdue, f->pages);
    f->last_page = page->last || f->only_clock;
    if (page->n == 0 || f->only_clock) {
        look_done(f);
        return;
    }
    const char *error = mirror_page(f->mirror, f->pages, page->n);
    if (error != NULL)
        look_failed(f, error);
}

void feed_start_look(struct feed *f, bool full, bool mirror)
{
    const struct config *c = f->parts->config;
    f->job = JOB_LOOK;
    f->full = full;
    f->want_full = false;
    f->only_clock = !full && !mirror;
    f->again = false;
    f->look_began_us = 0;
    if (full)
        pages_begin(f->pages, PAGES_FROM_START, c->lookahead_us, PAGE_SIZE, PAGES_SIZE_MAX);
    else if (mirror)
        pages_begin(f->pages, f->looked_us - LATE_COMMIT_US, c->lookahead_us, PAGE_SIZE,
                    PAGES_SIZE_MAX);
    else
        pages_begin(f->pages, PAGES_NOWHERE, 0, 1, 1);
    next_page(f);
}

static void on_role(void *arg, bool held, int64_t remaining_ms, const char *owner,
                    const char *error)
{
    struct feed *f = arg;
    (void)remaining_ms;
    (void)owner;
    if (error != NULL) {
        look_failed(f, error);
        return;
    }
    bool took_over = held && !f->feeder;
    f->feeder = held;
    bool scan = clock_mono_us() >= f->scan_at_us;
    if (scan)
        statements_doubt(f->parts->statements);
    if (f->stopping) {
        feed_job_over(f);
        return;
    }
    feed_start_look(f, held && (took_over || scan || f->looked_us == 0),
                    held && f->parts->config->lookahead_us > 0);
}

void feed_start_role(struct feed *f)
{
    int64_t ttl_ms = f->parts->config->feed_interval_us * 5 / 4 / MS_US + SECOND_MS;
    f->job = JOB_ROLE;
    if (due_queue_role(f->parts->queue, "feeder", f->holder, ttl_ms, on_role, f) != 0)
        look_failed(f, "Redis went away");
}
