/* Looking again at pages of which much is missing, the morning after a FLUSHALL: as recheck.c does
 * it, Redis first and then Postgres, but the page is read a second time as a page, which costs an
 * eighth of looking its rows up one by one. */
#include "reconcile/bulk.h"

#include "base/clock.h"
#include "base/parse.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "queue/repair.h"
#include "reconcile/found.h"
#include "reconcile/lookup.h"
#include "reconcile/page.h"
#include "reconcile/seen.h"
#include "release/parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of pages, and of what was seen; the more, the more pages ripen at a time. */
#define BYTES_MOST ((size_t)32 << 20)

#define READS_MOST 3 /* of one page's place */

/* Of rows that are due later than this nobody has a claim. */
#define DUE_SOON_US (10 * SECOND_US)

/* Chunks of one page on their way through Redis. */
struct lane {
    size_t next; /* row that no chunk has yet */
    struct page_chunk chunks[PAGE_CHUNKS];
};

/* Pages go from one place to the next; each place works on one page at a time, all at once. */
struct bulk {
    void (*changed)(struct reconcile *r);
    STAILQ_HEAD(, page_rows) pages; /* that ripen, the first one first */
    size_t bytes;                   /* of all pages */
    struct timer *ripe;

    struct page_rows *looking; /* at Redis */
    struct lane look;
    bool asked_sizes, looked;
    bool plain; /* nothing is claimed and nothing failed: one look at :pending will do */

    struct page_rows *reading; /* from Postgres */
    struct seen *alive;        /* rows that this brought */
    bool asking, read;
    int reads;

    struct page_rows *adding; /* to Redis */
    struct lane add;
};

static void changed(struct reconcile *r)
{
    r->bulk->changed(r);
}

bool bulk_full(const struct reconcile *r)
{
    return r->bulk->bytes + seen_bytes(r->seen) >= BYTES_MOST;
}

bool bulk_empty(const struct reconcile *r)
{
    return r->bulk->bytes == 0;
}

bool bulk_wants_postgres(const struct reconcile *r)
{
    return r->bulk->reading != NULL && !r->bulk->read;
}

void bulk_add(struct reconcile *r, struct page_rows *p)
{
    STAILQ_INSERT_TAIL(&r->bulk->pages, p, entry);
    r->bulk->bytes += p->bytes;
    bulk_poke(r);
}

/* ---- Redis, then Postgres ---- */

/* What has appeared since is not missing. */
static void on_absent(void *arg, const size_t *indexes, size_t n, const char *error)
{
    struct page_chunk *chunk = arg;
    struct reconcile *r = chunk->r;
    struct page_rows *p = r->bulk->looking;
    if (!run_answered(r, error))
        return;
    size_t next = 0;
    for (size_t i = 0; i < chunk->n; i++) {
        if (next < n && indexes[next] == i)
            next++;
        else
            p->rows[chunk->rows[i]].missing = false;
    }
    chunk->busy = false;
    changed(r);
}

/* The same, where Redis has been asked for scores. */
static void on_scores(void *arg, const int64_t *scores_ms, size_t n, const char *error)
{
    struct page_chunk *chunk = arg;
    struct reconcile *r = chunk->r;
    if (!run_answered(r, error))
        return;
    for (size_t i = 0; i < n; i++)
        if (scores_ms[i] != DUE_NOWHERE)
            r->bulk->looking->rows[chunk->rows[i]].missing = false;
    chunk->busy = false;
    changed(r);
}

static void on_sizes(void *arg, const struct due_sizes *sizes, const char *error)
{
    struct reconcile *r = arg;
    struct bulk *b = r->bulk;
    if (!run_answered(r, error))
        return;
    b->plain = sizes->inflight == 0 && sizes->failed == 0 &&
               b->looking->rows[0].expires_us > run_now_us(r) + DUE_SOON_US;
    b->asked_sizes = false;
    b->look.next = 0;
    changed(r);
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
    struct page_rows *p = b->reading;
    char key[ROW_KEY_MAX];
    for (size_t i = 0; i < p->n; i++) {
        struct page_row *row = &p->rows[i];
        row->missing = row->missing && seen_has(b->alive, SEEN_ACTIVE, key, row_key(key, p, row));
    }
    seen_free(b->alive);
    b->alive = NULL;
    b->read = true;
}

static void on_rows(struct reconcile *r, const struct pg_result *rows);

/* Rows may have been added among them: reads on until the page's end is passed, within reason. What
 * is not met is not missing, in this run. */
static void take_rows(struct reconcile *r, const struct page_rows *again)
{
    struct bulk *b = r->bulk;
    const struct page_rows *p = b->reading;
    char key[ROW_KEY_MAX];
    int64_t end_us = p->rows[p->n - 1].expires_us;
    for (size_t i = 0; i < again->n; i++)
        (void)seen_add(b->alive, SEEN_ACTIVE, key, row_key(key, again, &again->rows[i]));
    const struct page_row *last = &again->rows[again->n > 0 ? again->n - 1 : 0];
    if (again->n < p->place.most || last->expires_us > end_us ||
        seen_has(b->alive, SEEN_ACTIVE, key, row_key(key, p, &p->rows[p->n - 1])) ||
        ++b->reads >= READS_MOST) {
        b->asking = false;
        drop_dead(b);
        changed(r);
    } else {
        const struct page_place place = {
            .after_us = last->expires_us,
            .after_id = again->texts + last->at,
            .most = p->place.most,
            .tied = p->place.tied,
        };
        page_ask(r, &place, on_rows);
    }
}

static void on_rows(struct reconcile *r, const struct pg_result *rows)
{
    struct page_rows *again = page_read(rows);
    if (again == NULL)
        run_fail(r, "a page of reservations could not be read");
    else
        take_rows(r, again);
    page_free(again);
}

static void read_again(struct reconcile *r)
{
    struct bulk *b = r->bulk;
    b->alive = seen_new();
    if (b->alive == NULL) {
        run_fail(r, "out of memory");
        return;
    }
    b->asking = true;
    b->reads = 0;
    page_ask(r, &b->reading->place, on_rows);
}

/* ---- adding ---- */

/* They were missing at the second look: those that somebody added since then count too. */
static void count(struct page_chunk *chunk)
{
    for (size_t i = 0; i < chunk->n; i++)
        found_missing(chunk->r, &chunk->entries[i]);
    chunk->busy = false;
}

static void on_added(void *arg, const char *error)
{
    struct page_chunk *chunk = arg;
    if (!run_answered(chunk->r, error))
        return;
    count(chunk);
    changed(chunk->r);
}

/* ---- the order of things ---- */

static void send_look(struct reconcile *r, struct page_chunk *chunk)
{
    struct due_queue *q = r->parts->queue;
    if (r->bulk->plain)
        run_sent(r, due_queue_scores(q, chunk->entries, chunk->n, on_scores, chunk));
    else
        run_sent(r, due_queue_absent(q, chunk->entries, chunk->n, on_absent, chunk));
}

static void send_add(struct reconcile *r, struct page_chunk *chunk)
{
    if (r->options.dry_run)
        count(chunk);
    else
        run_sent(r, due_queue_add(r->parts->queue, chunk->entries, chunk->n, on_added, chunk));
}

/* Gives idle chunks what is left of the page; true while any of it is under way. */
static bool go_through(struct reconcile *r, struct lane *lane, const struct page_rows *p,
                       void (*send)(struct reconcile *r, struct page_chunk *chunk))
{
    bool busy = false;
    for (int i = 0; i < PAGE_CHUNKS && !run_ending(r); i++) {
        struct page_chunk *chunk = &lane->chunks[i];
        while (!chunk->busy && lane->next < p->n && !run_ending(r)) {
            page_fill(chunk, p, &lane->next, true);
            if (chunk->busy)
                send(r, chunk);
        }
        busy = busy || chunk->busy;
    }
    return busy;
}

/* What is missing is added, and the page is done with. True: it is gone. */
static bool poke_adding(struct reconcile *r)
{
    struct bulk *b = r->bulk;
    if (b->adding == NULL || go_through(r, &b->add, b->adding, send_add) || run_ending(r))
        return false;
    b->bytes -= b->adding->bytes;
    page_free(b->adding);
    b->adding = NULL;
    return true;
}

/* The page is read again. True: it went on. */
static bool poke_reading(struct reconcile *r)
{
    struct bulk *b = r->bulk;
    if (b->reading != NULL && !b->read && !b->asking && lookup_possible(r))
        read_again(r);
    if (b->reading == NULL || !b->read || b->adding != NULL)
        return false;
    b->adding = b->reading;
    b->add.next = 0;
    b->reading = NULL;
    return true;
}

/* Redis is asked again. True: the page went on. */
static bool poke_looking(struct reconcile *r)
{
    struct bulk *b = r->bulk;
    if (b->looking != NULL && !b->asked_sizes && !b->looked)
        b->looked = !go_through(r, &b->look, b->looking, send_look);
    if (b->looking == NULL || !b->looked || b->reading != NULL)
        return false;
    b->reading = b->looking;
    b->read = false;
    b->looking = NULL;
    return true;
}

/* The first page is taken when it is ripe. */
static void poke_ripe(struct reconcile *r)
{
    struct bulk *b = r->bulk;
    struct page_rows *p = STAILQ_FIRST(&b->pages);
    if (p == NULL || b->looking != NULL)
        return;
    if (p->ripe_us > clock_mono_us()) {
        timer_at_us(b->ripe, p->ripe_us);
        return;
    }
    STAILQ_REMOVE_HEAD(&b->pages, entry);
    b->looking = p;
    b->looked = false;
    b->asked_sizes = true;
    run_sent(r, due_queue_sizes(r->parts->queue, on_sizes, r));
}

void bulk_poke(struct reconcile *r)
{
    bool moved = true;
    while (moved && !run_ending(r)) {
        moved = poke_adding(r);
        moved = !run_ending(r) && (poke_reading(r) || moved);
        moved = !run_ending(r) && (poke_looking(r) || moved);
        if (!run_ending(r))
            poke_ripe(r);
    }
}

static void on_ripe(void *arg)
{
    changed(arg);
}

int bulk_new(struct reconcile *r, void (*changed_cb)(struct reconcile *r))
{
    r->bulk = calloc(1, sizeof(*r->bulk));
    if (r->bulk == NULL)
        return -1;
    r->bulk->changed = changed_cb;
    STAILQ_INIT(&r->bulk->pages);
    for (int i = 0; i < PAGE_CHUNKS; i++)
        r->bulk->look.chunks[i].r = r->bulk->add.chunks[i].r = r;
    r->bulk->ripe = timer_new(r->parts->loop, on_ripe, r);
    return r->bulk->ripe != NULL ? 0 : -1;
}

void bulk_free(struct bulk *b)
{
    if (b == NULL)
        return;
    while (!STAILQ_EMPTY(&b->pages)) {
        struct page_rows *p = STAILQ_FIRST(&b->pages);
        STAILQ_REMOVE_HEAD(&b->pages, entry);
        page_free(p);
    }
    page_free(b->looking);
    page_free(b->reading);
    page_free(b->adding);
    seen_free(b->alive);
    timer_free(b->ripe);
    free(b);
}
