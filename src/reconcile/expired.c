/* What has expired and is still active: released, or in a dry run counted. It is begun two seconds
 * after the run itself and concerns what had expired by then: a sweeper that works has released
 * that. */
#include "reconcile/expired.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "reconcile/lookup.h"
#include "reconcile/report.h"
#include "reconcile/run.h"
#include "release/breakers.h"
#include "release/drain.h"
#include "release/pages.h"
#include "release/parts.h"
#include "release/pause.h"
#include "release/release.h"

#include <stdlib.h>
#include <string.h>

#define GRACE_US (2 * SECOND_US)

struct expired {
    struct drain *drain;
    struct pages *pages; /* of a dry run */
    struct due_entry *entries;
    char **ids; /* of the entries */
    int64_t *expires_us;
    size_t n;
    bool last;
    struct timer *later;
};

static void begin(struct reconcile *r);

/* Overdue by at least so much: what had expired when the run began. */
static int64_t overdue_us(const struct reconcile *r)
{
    return clock_mono_us() - r->clock_began_us;
}

static void report(struct reconcile *r, const char *id, size_t id_len, int64_t expires_us,
                   const char *done)
{
    if (!report_wanted(r))
        return;
    json_t *found = json_object();
    json_object_set_new(found, "status", json_string("active"));
    json_object_set_new(found, "expiresAt",
                        expires_us > 0 ? json_integer(expires_us / MS_US) : json_null());
    report_finding(r, FINDING_EXPIRED, id, id_len, json_string("released"), found, done);
}

/* What is not to be released now is no inconsistency. */
static void pass_by(struct reconcile *r)
{
    log_event(LOG_WARN, "A pause lasts: a reconciliation leaves what has expired", LOG_STR, "pause",
              pause_reason(r->parts->pause), LOG_END);
    run_next(r);
}

/* ---- releasing ---- */

static void on_item(void *arg, const struct item *item, bool last)
{
    struct reconcile *r = arg;
    r->done += item->outcome == OUTCOME_RELEASED ? 1 : 0;
    if (item->outcome == OUTCOME_RELEASED)
        report(r, item->id, item->id_len, item->expires_us, "released");
    else if (item->outcome == OUTCOME_FAILED || item->outcome == OUTCOME_DEFERRED)
        report(r, item->id, item->id_len, item->expires_us, "refused");
    else if (item->outcome == OUTCOME_LOCKED && last)
        report(r, item->id, item->id_len, item->expires_us, "locked");
}

static void on_drained(void *arg, const struct drain_result *result)
{
    struct reconcile *r = arg;
    int64_t *counts = r->result.counts;
    counts[COUNT_RELEASED] = (int64_t)result->released;
    counts[COUNT_REFUSED] = (int64_t)(result->refused + result->deferred);
    counts[COUNT_SKIPPED] = (int64_t)result->locked;
    if (run_ending(r)) {
        timer_after_us(r->turn, 0);
    } else if (result->paused) {
        pass_by(r);
    } else if (!result->ok) {
        run_fail(r, result->error);
    } else {
        counts[COUNT_REMAINING] += counts[COUNT_REFUSED] + counts[COUNT_SKIPPED];
        run_next(r);
    }
}

/* ---- a dry run ---- */

static void clear_page(struct expired *x)
{
    for (size_t i = 0; i < x->n; i++)
        free(x->ids[i]);
    free(x->ids);
    free(x->entries);
    x->ids = NULL;
    free(x->expires_us);
    x->entries = NULL;
    x->expires_us = NULL;
    x->n = 0;
}

static void next_page(struct reconcile *r);

/* A reservation of several rows is met once for each; the latest one counts. */
static void on_rows(struct reconcile *r, void *arg, const struct lookup *rows)
{
    struct expired *x = r->expired;
    (void)arg;
    for (size_t i = 0; i < x->n; i++) {
        const struct due_entry *e = &x->entries[i];
        if (!rows[i].active || rows[i].kept || rows[i].expires_us != x->expires_us[i])
            continue;
        r->result.counts[COUNT_RELEASED]++;
        r->result.counts[COUNT_REMAINING]++;
        report(r, e->id, e->id_len, x->expires_us[i], "nothing");
    }
    r->done += (int64_t)x->n;
    clear_page(x);
    if (x->last)
        run_next(r);
    else
        next_page(r);
}

static int take_page(struct expired *x, const struct page *page)
{
    x->entries = calloc(page->n + 1, sizeof(*x->entries));
    x->ids = calloc(page->n + 1, sizeof(*x->ids));
    x->expires_us = calloc(page->n + 1, sizeof(*x->expires_us));
    if (x->entries == NULL || x->ids == NULL || x->expires_us == NULL)
        return -1;
    for (size_t i = 0; i < page->n; i++) {
        const char *id = pages_id(x->pages, i);
        int64_t expires_us = pages_expires_us(x->pages, i);
        if (x->n > 0 && x->expires_us[x->n - 1] == expires_us && strcmp(x->ids[x->n - 1], id) == 0)
            continue;
        char *copy = strdup(id);
        if (copy == NULL)
            return -1;
        x->ids[x->n] = copy;
        x->expires_us[x->n] = expires_us;
        x->entries[x->n++] = (struct due_entry){.id = copy, .id_len = strlen(copy)};
    }
    return 0;
}

static void on_page(void *arg, const struct page *page)
{
    struct reconcile *r = arg;
    struct expired *x = r->expired;
    if (run_ending(r)) {
        timer_after_us(r->turn, 0);
        return;
    }
    x->last = page->last;
    if (page->error != NULL)
        run_fail(r, page->error);
    else if (take_page(x, page) != 0)
        run_fail(r, "out of memory");
    else if (x->n == 0)
        run_next(r);
    else
        lookup_ask(r, x->entries, x->n, true, on_rows, NULL);
}

static void next_page(struct reconcile *r)
{
    if (!statements_ready(r->parts->statements) || pages_next(r->expired->pages, on_page, r) != 0)
        run_fail(r, "the connection to Postgres was lost");
}

/* ---- both ---- */

static void on_later(void *arg)
{
    struct reconcile *r = arg;
    if (!run_ending(r))
        begin(r);
}

static void begin(struct reconcile *r)
{
    struct expired *x = r->expired;
    if (pause_lasts(r->parts->pause)) {
        pass_by(r);
    } else if (r->options.dry_run) {
        pages_begin(x->pages, PAGES_FROM_START, -overdue_us(r), PAGES_SIZE, PAGES_SIZE);
        next_page(r);
    } else {
        drain_run(x->drain, r->clock_began_us, DRAIN_LOCKED_US, on_drained, r);
    }
}

void expired_start(struct reconcile *r)
{
    r->total = 0;
    if (!r->any_expired) {
        run_next(r);
        return;
    }
    breakers_forget(r->parts->breakers); /* counters may have been repaired just now */
    timer_at_us(r->expired->later, r->clock_began_us + GRACE_US);
}

void expired_stop(struct reconcile *r)
{
    drain_stop(r->expired->drain);
}

bool expired_busy(const struct reconcile *r)
{
    return drain_running(r->expired->drain);
}

int expired_new(struct reconcile *r)
{
    struct expired *x = calloc(1, sizeof(*x));
    if (x == NULL)
        return -1;
    r->expired = x;
    x->pages = pages_new(r->parts, r->link);
    const struct drain_options drain = {
        .parts = r->parts, .links = &r->link, .nlinks = 1, .on_item = on_item, .arg = r};
    x->drain = drain_new(&drain);
    x->later = timer_new(r->parts->loop, on_later, r);
    if (x->pages == NULL || x->drain == NULL || x->later == NULL)
        return -1;
    return 0;
}

void expired_free(struct expired *x)
{
    if (x == NULL)
        return;
    clear_page(x);
    pages_free(x->pages);
    drain_free(x->drain);
    timer_free(x->later);
    free(x);
}
