/* One poll: pages from Postgres, one after the other, into Redis. */
#include "feed/poll.h"

#include "base/clock.h"
#include "config/config.h"
#include "feed/mirror.h"
#include "feed/overdue.h"
#include "link/pg_link.h"
#include "release/pages.h"
#include "release/parts.h"
#include "store/statements.h"

#include <assert.h>
#include <stdlib.h>

#define PAGE_SIZE 2000 /* copied for Redis: 5,000 take a megabyte more, and are no faster */

struct poll {
    struct parts *parts;
    struct poll_options options;
    struct pg_link *link;
    struct pages *pages;
    struct mirror *mirror;
    enum { POLL_RESTS, POLL_RUNS, POLL_ENDS_SOON } state; /* the last: with the page in hand */
    enum poll_kind kind;
    int64_t began_us; /* Postgres's time; 0: it has not answered yet */
};

static void on_mirrored(void *arg, int64_t earliest_ms, const char *error);

struct poll *poll_new(struct parts *parts, struct pg_link *link, const struct poll_options *options)
{
    struct poll *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->parts = parts;
    p->options = *options;
    p->link = link;
    p->pages = pages_new(parts, link);
    p->mirror = mirror_new(parts, on_mirrored, p);
    if (p->pages == NULL || p->mirror == NULL) {
        poll_free(p);
        return NULL;
    }
    return p;
}

void poll_free(struct poll *p)
{
    if (p == NULL)
        return;
    pages_free(p->pages);
    mirror_free(p->mirror);
    free(p);
}

static bool reads_rows(const struct poll *p)
{
    return p->kind == POLL_REGULAR || p->kind == POLL_FULL;
}

static void end(struct poll *p, const char *error)
{
    assert(p->state != POLL_RESTS);
    p->state = POLL_RESTS;
    p->options.on_done(p->options.arg, p->began_us, error);
}

static void on_page(void *arg, const struct page *page);

/* Asks for a page. One that takes long tells what is late as often as others do. Returns NULL, or
 * why nothing was sent. */
static const char *next_page(struct poll *p)
{
    if (p->began_us == 0 || overdue_again_us(p->options.overdue) <= clock_mono_us())
        overdue_want(p->options.overdue, p->pages);
    if (statements_ready(p->parts->statements) && pages_next(p->pages, on_page, p) == 0)
        return NULL;
    return pg_link_up(p->link) ? "the statements have to be made anew"
                               : "the connection to Postgres was lost";
}

static void on_mirrored(void *arg, int64_t earliest_ms, const char *error)
{
    struct poll *p = arg;
    if (error == NULL && earliest_ms != INT64_MAX)
        p->options.on_mirrored(p->options.arg, earliest_ms);
    if (error != NULL || p->state == POLL_ENDS_SOON) {
        end(p, error);
        return;
    }
    error = next_page(p);
    if (error != NULL)
        end(p, error);
}

static void on_page(void *arg, const struct page *page)
{
    struct poll *p = arg;
    if (page->error != NULL) {
        end(p, page->error);
        return;
    }
    if (p->began_us == 0)
        p->began_us = server_clock_now_us(&p->parts->pg_clock);
    if (pages_has_late(p->pages))
        overdue_take(p->options.overdue, p->pages);
    if (page->last)
        p->state = POLL_ENDS_SOON;
    if (page->n == 0 || !reads_rows(p)) {
        end(p, NULL);
        return;
    }
    const char *error = mirror_page(p->mirror, p->pages, page->n);
    if (error != NULL)
        end(p, error);
}

const char *poll_start(struct poll *p, enum poll_kind kind, int64_t from_us)
{
    assert(p->state == POLL_RESTS);
    p->kind = kind;
    p->began_us = 0;
    if (reads_rows(p))
        pages_begin(p->pages, from_us, p->parts->config->lookahead_us, PAGE_SIZE, PAGES_SIZE_MAX);
    else
        pages_begin(p->pages, from_us, 0, 1, 1);
    const char *error = next_page(p);
    if (error == NULL)
        p->state = POLL_RUNS;
    return error;
}

void poll_stop(struct poll *p)
{
    if (p->state == POLL_RUNS)
        p->state = POLL_ENDS_SOON;
}
