/* From Postgres to Redis: each active reservation that will expire, page by page, each page in one
 * snapshot. Expired ones are another phase's.
 *
 * A page goes through `ahead` (read, while the one before is compared) and `page` (its rows on
 * their way through Redis, a thousand at a time, each judged by its score alone). What is suspected
 * then is looked at again: a few by themselves (recheck.c), many as a page (bulk.c), which costs an
 * eighth of that.
 *
 * What must hold: pages follow each other by (expires_at, id), so that a row that is there all the
 * time is met once, whatever is added and removed meanwhile; Postgres is asked one thing at a time,
 * and bulk.c's reading comes before the next page, since its pages take memory; a page is begun
 * only while recheck.c and bulk.c have room for all of it. Every event ends in poke(), which does
 * whatever can be done now. */
#include "reconcile/rows.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/pg_link.h"
#include "reconcile/bulk.h"
#include "reconcile/found.h"
#include "reconcile/page.h"
#include "reconcile/recheck.h"
#include "reconcile/run.h"
#include "reconcile/seen.h"
#include "release/parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Large, since without a fitting index each page looks through all that is left; but of several
 * pages at a time each is in memory, once as Postgres's answer and once as rows. */
#define PAGE_SIZE 25000
#define PAGE_SIZE_TEXT 8000 /* ids may be long */

#define BULK_LEAST 2000 /* missing ones, for which a page is kept */
#define TIES_LEAST 2    /* pages of one moment, after which the next is tied */

struct rows {
    struct page_rows *page, *ahead; /* being compared; read meanwhile */
    bool asking, last, draining;
    struct page_place place; /* of the page that is read next */
    size_t next;             /* row of the page that no chunk has yet */
    int tie_run;             /* full pages of nothing else, one after the other */
    struct page_chunk chunks[PAGE_CHUNKS];
};

static void poke(struct reconcile *r);

/* ---- reading ---- */

/* The id after which the next page begins; NULL: none was read so far, or out of memory. */
static char *end_of(const struct page_rows *p)
{
    if (p->n > 0)
        return strdup(p->texts + p->rows[p->n - 1].at);
    return p->place.after_id != NULL ? strdup(p->place.after_id) : NULL;
}

/* Whether that was all; and whether the next page had better be read by its key, because each page
 * of so many rows of one moment has to look through all of them. */
static void note_ties(struct rows *s, const struct page_rows *p, bool full)
{
    s->last = !full && !p->place.tied;
    if (full && p->rows[0].expires_us == p->rows[p->n - 1].expires_us)
        s->tie_run++;
    else
        s->tie_run = 0;
    s->place.tied = s->tie_run >= TIES_LEAST;
}

static void on_rows(struct reconcile *r, const struct pg_result *rows)
{
    struct rows *s = r->rows;
    struct page_rows *p = page_read(rows);
    s->asking = false;
    if (p == NULL) {
        run_fail(r, "a page of reservations could not be read");
        return;
    }
    s->ahead = p;
    p->read_us = run_now_us(r);
    p->place = s->place;
    s->place.after_id = end_of(p);
    if (s->place.after_id == NULL && p->place.after_id != NULL) {
        run_fail(r, "out of memory");
        return;
    }
    note_ties(s, p, p->n == p->place.most);
    if (p->n > 0)
        s->place.after_us = p->rows[p->n - 1].expires_us;
    poke(r);
}

/* ---- comparing ---- */

static bool same_as_before(const struct page_rows *p, size_t i)
{
    return i > 0 && p->rows[i].expires_us == p->rows[i - 1].expires_us &&
           strcmp(p->texts + p->rows[i].at, p->texts + p->rows[i - 1].at) == 0;
}

/* The judges' times, as they were when the page was read. */
static struct judge_times times_of(const struct reconcile *r, const struct page_rows *p)
{
    struct judge_times times = found_times(r);
    times.now_us = p->read_us;
    return times;
}

/* What a row's score says. */
static void judge(struct reconcile *r, struct page_rows *p, size_t i, int64_t score_ms)
{
    const struct judge_times times = times_of(r, p);
    struct page_row *row = &p->rows[i];
    const char *id = p->texts + row->at;
    if (same_as_before(p, i))
        return;
    if (score_ms != DUE_NOWHERE)
        (void)seen_add(r->seen, SEEN_ACTIVE, id, row->id_len);
    enum suspicion what = judge_row(&times, row->expires_us, score_ms);
    if (what == SUSPECT_MISPLACED) {
        recheck_add(r, what, id, row->id_len, row->expires_us, JUDGE_AGAIN_US);
    } else if (what == SUSPECT_MISSING) {
        row->missing = true;
        p->n_missing++;
    }
}

static void on_scores(void *arg, const int64_t *scores_ms, size_t n, const char *error)
{
    struct page_chunk *chunk = arg;
    struct reconcile *r = chunk->r;
    if (!run_answered(r, error))
        return;
    chunk->busy = false;
    r->done += (int64_t)n;
    for (size_t i = 0; i < n; i++)
        judge(r, r->rows->page, chunk->rows[i], scores_ms[i]);
    poke(r);
}

/* The page is compared: a few suspects are looked at by themselves, many as a page. */
static void retire(struct reconcile *r)
{
    struct page_rows *p = r->rows->page;
    const struct judge_times times = times_of(r, p);
    int64_t longest_us = 0;
    bool bulk = p->n_missing >= BULK_LEAST;
    r->rows->page = NULL;
    for (size_t i = 0; i < p->n; i++) {
        const struct page_row *row = &p->rows[i];
        if (!row->missing)
            continue;
        int64_t delay_us = judge_delay_us(&times, row->expires_us, row->young);
        if (!bulk)
            recheck_add(r, SUSPECT_MISSING, p->texts + row->at, row->id_len, row->expires_us,
                        delay_us);
        else if (delay_us > longest_us)
            longest_us = delay_us;
    }
    p->ripe_us = clock_mono_us() + longest_us;
    if (bulk)
        bulk_add(r, p);
    else
        page_free(p);
}

/* Gives idle chunks what is left of the page; true while any of it is under way. */
static bool compare(struct reconcile *r)
{
    struct rows *s = r->rows;
    bool busy = false;
    for (int i = 0; i < PAGE_CHUNKS && !run_ending(r); i++) {
        struct page_chunk *chunk = &s->chunks[i];
        if (!chunk->busy && s->next < s->page->n) {
            page_fill(chunk, s->page, &s->next, false);
            if (chunk->busy)
                run_sent(r, due_queue_scores(r->parts->queue, chunk->entries, chunk->n, on_scores,
                                             chunk));
        }
        busy = busy || chunk->busy;
    }
    return busy || s->next < s->page->n;
}

static void on_drained(struct reconcile *r)
{
    r->rows->draining = false;
    poke(r);
}

/* The next page, when there is room for what may be missing of it. */
static void advance(struct reconcile *r)
{
    struct rows *s = r->rows;
    if (recheck_full(r) && !s->asking && !bulk_wants_postgres(r)) {
        s->draining = true; /* it needs the connection */
        recheck_drain(r, false, on_drained);
    } else if (!recheck_full(r) && s->ahead != NULL && !bulk_full(r)) {
        s->page = s->ahead;
        s->ahead = NULL;
        s->next = 0;
    }
}

static void poke(struct reconcile *r)
{
    struct rows *s = r->rows;
    if (run_ending(r) || s->draining)
        return;
    bulk_poke(r);
    if (s->page == NULL)
        advance(r);
    while (s->page != NULL && !run_ending(r) && !compare(r)) {
        retire(r);
        advance(r);
    }
    if (run_ending(r) || s->draining)
        return;
    if (!s->last && s->ahead == NULL && !s->asking && !bulk_wants_postgres(r)) {
        s->asking = true;
        page_ask(r, &s->place, on_rows);
    } else if (s->last && s->ahead == NULL && s->page == NULL && bulk_empty(r)) {
        run_next(r);
    }
}

void rows_start(struct reconcile *r)
{
    r->total = r->active_rows;
    const struct statements *s = r->parts->statements;
    bool short_ids = statements_ready(s) && statements_types(s)->id_kind > ID_BYTES;
    r->rows->place.after_us = r->clock_us;
    r->rows->place.most = short_ids ? PAGE_SIZE : PAGE_SIZE_TEXT;
    poke(r);
}

int rows_new(struct reconcile *r)
{
    r->rows = calloc(1, sizeof(*r->rows));
    if (r->rows == NULL)
        return -1;
    for (int i = 0; i < PAGE_CHUNKS; i++)
        r->rows->chunks[i].r = r;
    return bulk_new(r, poke);
}

void rows_free(struct rows *s)
{
    if (s == NULL)
        return;
    page_free(s->page);
    page_free(s->ahead);
    free(s->place.after_id);
    free(s);
}
