/* Looking again at pages of which much is missing, the morning after a FLUSHALL: as
 * reconcile_again.c does it, Redis first and then Postgres, but the page is read a second time as a
 * page, which costs an eighth of looking its rows up one by one. */
#include "clock.h"
#include "loop.h"
#include "pg_link.h"
#include "reconcile_rows.h"
#include "sweep.h"

#include <stdlib.h>
#include <string.h>

#define PAGES_MOST 4 /* kept in memory: 3 MB each */
#define READS_MOST 3 /* of one page's place */

enum step { STEP_IDLE, STEP_ABSENT, STEP_ROWS, STEP_ADD };

struct bulk {
    STAILQ_HEAD(, page_rows) pages; /* in the order in which they are ripe */
    int n_pages;
    enum step step; /* of the first one */
    size_t next;    /* row of it that no chunk has yet */
    bool asking;
    int reads;
    struct seen *alive; /* rows that the second reading brought */
    struct timer *ripe;
    struct chunk chunks[ROWS_CHUNKS];
};

bool bulk_full(const struct reconcile *r)
{
    return r->bulk->n_pages >= PAGES_MOST;
}

bool bulk_empty(const struct reconcile *r)
{
    return r->bulk->n_pages == 0;
}

bool bulk_wants_postgres(const struct reconcile *r)
{
    return r->bulk->step == STEP_ROWS;
}

void bulk_add(struct reconcile *r, struct page_rows *p)
{
    STAILQ_INSERT_TAIL(&r->bulk->pages, p, entry);
    r->bulk->n_pages++;
    bulk_poke(r);
}

static struct page_rows *first(const struct bulk *b)
{
    return STAILQ_FIRST(&b->pages);
}

static bool chunks_busy(const struct bulk *b)
{
    for (int i = 0; i < ROWS_CHUNKS; i++)
        if (b->chunks[i].busy)
            return true;
    return false;
}

/* ---- Redis, then Postgres ---- */

/* What has appeared since is not missing. */
static void on_absent(void *arg, const size_t *indexes, size_t n, const char *error)
{
    struct chunk *chunk = arg;
    struct reconcile *r = chunk->r;
    struct page_rows *p = first(r->bulk);
    if (!reconcile_answered(r, error))
        return;
    size_t next = 0;
    for (size_t i = 0; i < chunk->n; i++) {
        if (next < n && indexes[next] == i)
            next++;
        else
            p->rows[chunk->rows[i]].missing = false;
    }
    chunk->busy = false;
    rows_poke(r);
}

/* A row as it was read: its id with its expiry. */
static size_t row_key(char *key, const struct page_rows *p, const struct page_row *row)
{
    memcpy(key, &row->expires_us, sizeof(row->expires_us));
    memcpy(key + sizeof(row->expires_us), p->texts + row->at, row->id_len);
    return sizeof(row->expires_us) + row->id_len;
}

#define ROW_KEY_MAX (sizeof(int64_t) + ID_MAX_LEN)

static void drop_dead(struct bulk *b)
{
    struct page_rows *p = first(b);
    char key[ROW_KEY_MAX];
    for (size_t i = 0; i < p->n; i++) {
        struct page_row *row = &p->rows[i];
        row->missing = row->missing && seen_has(b->alive, SEEN_ACTIVE, key, row_key(key, p, row));
    }
    seen_free(b->alive);
    b->alive = NULL;
    b->step = STEP_ADD;
    b->next = 0;
}

static void on_rows(struct reconcile *r, const struct pg_result *rows);

/* Rows may have been added among them: reads on until the page's end is passed, within reason. What
 * is not met is not missing, in this run. */
static void take_rows(struct reconcile *r, const struct page_rows *again)
{
    struct bulk *b = r->bulk;
    const struct page_rows *p = first(b);
    char key[ROW_KEY_MAX];
    int64_t end_us = p->rows[p->n - 1].expires_us;
    for (size_t i = 0; i < again->n; i++)
        (void)seen_add(b->alive, SEEN_ACTIVE, key, row_key(key, again, &again->rows[i]));
    const struct page_row *last = again->n > 0 ? &again->rows[again->n - 1] : NULL;
    if (again->n < ROWS_PAGE_SIZE || last->expires_us > end_us ||
        seen_has(b->alive, SEEN_ACTIVE, key, row_key(key, p, &p->rows[p->n - 1])) ||
        ++b->reads >= READS_MOST) {
        b->asking = false;
        drop_dead(b);
        rows_poke(r);
    } else {
        rows_ask(r, last->expires_us, again->texts + last->at, p->tied, on_rows);
    }
}

static void on_rows(struct reconcile *r, const struct pg_result *rows)
{
    struct page_rows *again = page_rows_read(rows);
    if (again == NULL)
        reconcile_fail(r, "a page of reservations could not be read");
    else
        take_rows(r, again);
    page_rows_free(again);
}

static void read_again(struct reconcile *r)
{
    struct bulk *b = r->bulk;
    b->alive = seen_new();
    if (b->alive == NULL) {
        reconcile_fail(r, "out of memory");
        return;
    }
    b->asking = true;
    b->reads = 0;
    rows_ask(r, first(b)->after_us, first(b)->after_id, first(b)->tied, on_rows);
}

/* ---- adding ---- */

static void on_added(void *arg, const size_t *indexes, size_t n, const char *error)
{
    struct chunk *chunk = arg;
    struct reconcile *r = chunk->r;
    if (!reconcile_answered(r, error))
        return;
    for (size_t i = 0; i < n; i++)
        judge_missing(r, &chunk->entries[indexes[i]]);
    chunk->busy = false;
    rows_poke(r);
}

static void send(struct reconcile *r, struct chunk *chunk)
{
    struct due_queue *q = r->sweep->queue;
    if (r->bulk->step == STEP_ABSENT) {
        reconcile_sent(r, due_queue_absent(q, chunk->entries, chunk->n, on_absent, chunk));
    } else if (!r->options.dry_run) {
        reconcile_sent(r, due_queue_add(q, chunk->entries, chunk->n, on_added, chunk));
    } else {
        for (size_t i = 0; i < chunk->n; i++)
            judge_missing(r, &chunk->entries[i]);
        chunk->busy = false;
    }
}

/* Gives idle chunks what is left of the page; true while any of it is under way. */
static bool feed_chunks(struct reconcile *r)
{
    struct bulk *b = r->bulk;
    const struct page_rows *p = first(b);
    for (int i = 0; i < ROWS_CHUNKS && !reconcile_over(r); i++) {
        if (b->chunks[i].busy || b->next >= p->n)
            continue;
        chunk_fill(&b->chunks[i], p, &b->next, true);
        if (b->chunks[i].busy)
            send(r, &b->chunks[i]);
    }
    return b->next < p->n || chunks_busy(b);
}

static void finish_page(struct bulk *b)
{
    struct page_rows *p = first(b);
    STAILQ_REMOVE_HEAD(&b->pages, entry);
    b->n_pages--;
    b->step = STEP_IDLE;
    page_rows_free(p);
}

void bulk_poke(struct reconcile *r)
{
    struct bulk *b = r->bulk;
    while (!reconcile_over(r)) {
        if (b->step == STEP_IDLE) {
            if (b->n_pages == 0)
                return;
            if (first(b)->ripe_us > clock_mono_us()) {
                timer_at_us(b->ripe, first(b)->ripe_us);
                return;
            }
            b->step = STEP_ABSENT;
            b->next = 0;
        }
        if (b->step == STEP_ROWS) {
            if (!b->asking && look_possible(r))
                read_again(r);
            return;
        }
        if (feed_chunks(r)) {
            if (r->options.dry_run && b->step == STEP_ADD)
                continue; /* nothing is sent, hence nothing is waited for */
            return;
        }
        if (b->step == STEP_ABSENT)
            b->step = STEP_ROWS;
        else
            finish_page(b);
    }
}

static void on_ripe(void *arg)
{
    rows_poke(arg);
}

int bulk_new(struct reconcile *r)
{
    r->bulk = calloc(1, sizeof(*r->bulk));
    if (r->bulk == NULL)
        return -1;
    STAILQ_INIT(&r->bulk->pages);
    for (int i = 0; i < ROWS_CHUNKS; i++)
        r->bulk->chunks[i].r = r;
    r->bulk->ripe = timer_new(r->sweep->loop, on_ripe, r);
    return r->bulk->ripe != NULL ? 0 : -1;
}

void bulk_free(struct bulk *b)
{
    if (b == NULL)
        return;
    while (b->n_pages > 0)
        finish_page(b);
    seen_free(b->alive);
    timer_free(b->ripe);
    free(b);
}
