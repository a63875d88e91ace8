/* From Postgres to Redis: each active reservation that will expire, page by page, each page in one
 * snapshot; while one is compared with Redis the next is read. */
#include "reconcile/rows.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/pg_link.h"
#include "release/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Large, since without a fitting index each page looks through all that is left; but of several
 * pages at a time each is in memory, once as Postgres's answer and once as rows. */
#define PAGE_SIZE 25000
#define PAGE_SIZE_TEXT 8000 /* ids may be long */

#define LATE_COMMIT_US MINUTE_US /* a row may become visible this long after updated_at */
#define BULK_LEAST 2000          /* missing ones, for which a page is kept */
#define TIES_LEAST 2             /* pages of one moment, after which the next is tied */

struct rows {
    struct page_rows *page, *ahead; /* being compared; read meanwhile */
    bool asking, last, draining;
    struct rows_place place; /* of the page that is read next */
    size_t next;             /* row of the page that no chunk has yet */
    int tie_run;             /* full pages of nothing else, one after the other */
    struct chunk chunks[ROWS_CHUNKS];
};

/* ---- reading ---- */

void page_rows_free(struct page_rows *p)
{
    if (p == NULL)
        return;
    free(p->rows);
    free(p->texts);
    free(p->place.after_id);
    free(p);
}

struct page_rows *page_rows_read(const struct pg_result *rows)
{
    struct page_rows *p = calloc(1, sizeof(*p));
    size_t n = (size_t)pg_result_rows(rows), size = 1, at = 0;
    if (p == NULL || pg_result_columns(rows) != 3)
        goto fail;
    for (size_t i = 0; i < n; i++)
        size += pg_result_len(rows, (int)i, 0) + 1;
    p->bytes = size + n * sizeof(*p->rows);
    p->rows = calloc(n + 1, sizeof(*p->rows));
    p->texts = size <= UINT32_MAX ? malloc(size) : NULL;
    if (p->rows == NULL || p->texts == NULL)
        goto fail;
    for (size_t i = 0; i < n; i++) {
        struct page_row *row = &p->rows[i];
        size_t len = pg_result_len(rows, (int)i, 0);
        memcpy(p->texts + at, pg_result_text(rows, (int)i, 0), len + 1);
        row->at = (uint32_t)at;
        row->too_long = len > ID_MAX_LEN;
        row->id_len = row->too_long ? 0 : (uint16_t)len;
        row->young = pg_result_text(rows, (int)i, 2)[0] != 'f';
        at += len + 1;
        row->expires_us = pg_result_int(rows, (int)i, 1);
    }
    p->n = n;
    return p;
fail:
    page_rows_free(p);
    return NULL;
}

void rows_ask(struct reconcile *r, const struct rows_place *place,
              void (*cb)(struct reconcile *r, const struct pg_result *rows))
{
    char after[32], size[16], young[32];
    snprintf(after, sizeof(after), "%lld", (long long)place->after_us);
    snprintf(size, sizeof(size), "%zu", place->most);
    snprintf(young, sizeof(young), "%lld",
             2 * (long long)r->parts->config->feed_interval_us + LATE_COMMIT_US);
    const char *params[] = {after, place->after_id, size, young};
    run_ask(r, place->tied ? STATEMENT_TIED_ROWS : STATEMENT_ACTIVE_ROWS, 4, params, cb);
}

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
    struct page_rows *p = page_rows_read(rows);
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
    rows_poke(r);
}

/* ---- comparing ---- */

/* How long the feed may still take to mirror a row that it should have met by now: two of its
 * intervals from now on, or no longer when it has had them already. */
static int64_t patience_us(const struct reconcile *r, const struct page_rows *p,
                           const struct page_row *row)
{
    const struct config *c = r->parts->config;
    int64_t entered_us = row->expires_us - c->lookahead_us;
    if (c->lookahead_us == 0 || (!row->young && entered_us + 2 * c->feed_interval_us < p->read_us))
        return RECONCILE_AGAIN_US;
    return 2 * c->feed_interval_us + RECONCILE_AGAIN_US;
}

static bool same_as_before(const struct page_rows *p, size_t i)
{
    return i > 0 && p->rows[i].expires_us == p->rows[i - 1].expires_us &&
           strcmp(p->texts + p->rows[i].at, p->texts + p->rows[i - 1].at) == 0;
}

/* What a row's score says. */
static void judge_row(struct reconcile *r, struct page_rows *p, size_t i, int64_t score_ms)
{
    struct page_row *row = &p->rows[i];
    int64_t lookahead_us = r->parts->config->lookahead_us;
    const char *id = p->texts + row->at;
    if (same_as_before(p, i))
        return;
    if (score_ms != DUE_NOWHERE)
        (void)seen_add(r->seen, SEEN_ACTIVE, id, row->id_len);
    if (score_ms > ms_rounded_up(row->expires_us)) {
        recheck_add(r, SUSPECT_MISPLACED, id, row->id_len, row->expires_us, RECONCILE_AGAIN_US);
    } else if (score_ms == DUE_NOWHERE &&
               (lookahead_us == 0 || row->expires_us <= p->read_us + lookahead_us)) {
        row->missing = true;
        p->n_missing++;
    }
}

static void on_scores(void *arg, const int64_t *scores_ms, size_t n, const char *error)
{
    struct chunk *chunk = arg;
    struct reconcile *r = chunk->r;
    if (!run_answered(r, error))
        return;
    chunk->busy = false;
    r->done += (int64_t)n;
    for (size_t i = 0; i < n; i++)
        judge_row(r, r->rows->page, chunk->rows[i], scores_ms[i]);
    rows_poke(r);
}

void chunk_fill(struct chunk *chunk, const struct page_rows *p, size_t *next, bool missing_only)
{
    chunk->n = 0;
    for (; *next < p->n && chunk->n < ROWS_CHUNK; ++*next) {
        const struct page_row *row = &p->rows[*next];
        if (row->too_long || (missing_only && !row->missing))
            continue;
        chunk->rows[chunk->n] = (uint32_t)*next;
        chunk->entries[chunk->n++] = (struct due_entry){
            .id = p->texts + row->at,
            .id_len = row->id_len,
            .at_ms = ms_rounded_up(row->expires_us),
        };
    }
    chunk->busy = chunk->n > 0;
}

/* The page is compared: a few suspects are looked at by themselves, many as a page. */
static void retire(struct reconcile *r)
{
    struct page_rows *p = r->rows->page;
    int64_t longest_us = 0;
    bool bulk = p->n_missing >= BULK_LEAST;
    r->rows->page = NULL;
    for (size_t i = 0; i < p->n; i++) {
        const struct page_row *row = &p->rows[i];
        if (!row->missing)
            continue;
        int64_t delay_us = patience_us(r, p, row);
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
        page_rows_free(p);
}

/* Gives idle chunks what is left of the page; true while any of it is under way. */
static bool compare(struct reconcile *r)
{
    struct rows *s = r->rows;
    bool busy = false;
    for (int i = 0; i < ROWS_CHUNKS && !run_ending(r); i++) {
        struct chunk *chunk = &s->chunks[i];
        if (!chunk->busy && s->next < s->page->n) {
            chunk_fill(chunk, s->page, &s->next, false);
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
    rows_poke(r);
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

void rows_poke(struct reconcile *r)
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
        rows_ask(r, &s->place, on_rows);
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
    rows_poke(r);
}

int rows_new(struct reconcile *r)
{
    r->rows = calloc(1, sizeof(*r->rows));
    if (r->rows == NULL)
        return -1;
    for (int i = 0; i < ROWS_CHUNKS; i++)
        r->rows->chunks[i].r = r;
    return bulk_new(r);
}

void rows_free(struct rows *s)
{
    if (s == NULL)
        return;
    page_rows_free(s->page);
    page_rows_free(s->ahead);
    free(s->place.after_id);
    free(s);
}
