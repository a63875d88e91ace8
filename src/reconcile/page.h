/* Pages of active reservations, in the order of their expiry: read from Postgres, and cut into
 * chunks of what one script or command of Redis takes. */
#ifndef RS_RECONCILE_PAGE_H
#define RS_RECONCILE_PAGE_H

#include "queue/due_queue.h"
#include "reconcile/run.h"

#include <sys/queue.h>

#define PAGE_CHUNK DUE_QUEUE_SCRIPT_MAX
#define PAGE_CHUNKS 3 /* under way at once */

struct page_row {
    int64_t expires_us;
    uint32_t at; /* of the id, in the page's texts */
    uint16_t id_len;
    bool young;
    bool missing;
    bool too_long; /* no entry of Redis can have this id */
};

/* Where a page begins, and what is asked for there. */
struct page_place {
    int64_t after_us;
    char *after_id; /* NULL: the beginning */
    size_t most;    /* rows */
    bool tied;      /* of the same moment only, since very many expire at it */
};

struct page_rows {
    STAILQ_ENTRY(page_rows) entry;
    struct page_row *rows;
    size_t n, n_missing, bytes;
    char *texts;
    struct page_place place;
    int64_t read_us; /* Postgres's time */
    int64_t ripe_us; /* monotonic: when to look again */
};

/* Some of a page's rows on their way through Redis. */
struct page_chunk {
    struct reconcile *r;
    bool busy;
    size_t n;
    uint32_t rows[PAGE_CHUNK]; /* of the page */
    struct due_entry entries[PAGE_CHUNK];
};

/* Asks for a page; page_read makes sense of the rows that cb gets. */
void page_ask(struct reconcile *r, const struct page_place *place, run_rows_cb *cb);

/* Copies an answer, which ends with its callback; its place is the caller's to fill in. NULL: out
 * of memory, or not what was asked for. */
struct page_rows *page_read(const struct pg_result *rows);
void page_free(struct page_rows *p); /* NULL is legal */

/* Fills an idle chunk from row *next on, with those that are missing or with all, and advances
 * *next. The entries point into the page. It is busy unless none was left. */
void page_fill(struct page_chunk *chunk, const struct page_rows *p, size_t *next,
               bool missing_only);

#endif
