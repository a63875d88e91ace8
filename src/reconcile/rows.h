/* Pages of active reservations: reconcile_rows.c reads and compares them, reconcile_bulk.c looks
 * again at those of which much is missing. */
#ifndef RS_RECONCILE_ROWS_H
#define RS_RECONCILE_ROWS_H

#include "reconcile/reconcile_private.h"

#define ROWS_CHUNK DUE_QUEUE_SCRIPT_MAX
#define ROWS_CHUNKS 3 /* scripts under way at once */

struct page_row {
    int64_t expires_us;
    uint32_t at; /* of the id, in the page's texts */
    uint16_t id_len;
    bool young;
    bool missing;
    bool too_long; /* no entry of Redis can have this id */
};

/* Where a page begins, and what is asked for there. */
struct rows_place {
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
    struct rows_place place;
    int64_t read_us; /* Postgres's time */
    int64_t ripe_us; /* monotonic: when to look again */
};

struct chunk {
    struct reconcile *r;
    bool busy;
    size_t n;
    uint32_t rows[ROWS_CHUNK]; /* of the page */
    struct due_entry entries[ROWS_CHUNK];
};

/* Copies an answer, which ends with its callback. NULL: out of memory, or not what was asked for.
 */
struct page_rows *page_rows_read(const struct pg_result *rows);
void page_rows_free(struct page_rows *p); /* NULL is legal */

void rows_ask(struct reconcile *r, const struct rows_place *place,
              void (*cb)(struct reconcile *r, const struct pg_result *rows));

/* Fills an idle chunk from row *next on, with those that are missing or with all. */
void chunk_fill(struct chunk *chunk, const struct page_rows *p, size_t *next, bool missing_only);

/* Has whatever can go on go on. */
void rows_poke(struct reconcile *r);

int bulk_new(struct reconcile *r);

/* Takes a page over, to look at it again when it is ripe. */
void bulk_add(struct reconcile *r, struct page_rows *p);
bool bulk_full(const struct reconcile *r);
bool bulk_empty(const struct reconcile *r);
bool bulk_wants_postgres(const struct reconcile *r);
void bulk_poke(struct reconcile *r);

#endif
