/* Reads active reservations by expiry, page by page, in one forward pass (sql/due_rows.sql). */
#ifndef RS_PAGES_H
#define RS_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pages;
struct pg_answer;
struct pg_link;
struct parts;

#define PAGES_FROM_START INT64_MIN
#define PAGES_NOWHERE 253402300799000000 /* the end of the year 9999: no row, only the clock */

/* Rows in a page. Small ones take little memory. Where each takes long, since no index leads to its
 * beginning and Postgres looks through all that is left, they become larger. */
#define PAGES_SIZE 5000
#define PAGES_SIZE_MAX 20000

/* Where a row lies in its table, as one number, in the order of the table: the block in the upper
 * 48 bits, the row's number there, which is never 0, in the lower 16. */
#define PAGES_PLACE_BITS 16

struct page {
    const char *error; /* NULL: fine */
    size_t n;          /* rows; 0 to the greatest size asked for */
    bool last;         /* there is no more */
};

/* NULL: out of memory. */
struct pages *pages_new(struct parts *parts, struct pg_link *link);

/* NULL is legal. */
void pages_free(struct pages *p);

/* Sets the pass: rows that expire at or after from_us (Postgres's time, or PAGES_FROM_START) and at
 * or before Postgres's now + ahead_us (which may be negative), size rows a page, up to
 * size_max where that takes long. */
void pages_begin(struct pages *p, int64_t from_us, int64_t ahead_us, int size, int size_max);

/* The pages of this pass also say where their rows lie. The first one is there soon, each that
 * follows is twice as large: there may be very many that expire together, which Postgres looks
 * through for each page. */
void pages_want_places(struct pages *p);

/* The next page also brings the `most` oldest reservations that expired a second ago or more, by
 * expiry, in the same transaction, which then waits no longer than 5 s for a lock on the table. */
void pages_want_late(struct pages *p, int most);

/* Asks for the next page; every answer is a sample for Postgres's clock. done fires once, never
 * from inside this call; the rows can be read until it returns. Returns 0, or -1 when nothing was
 * sent. */
int pages_next(struct pages *p, void (*done)(void *arg, const struct page *page), void *arg)
    __attribute__((warn_unused_result));

/* Row i of the page at hand; valid only inside done. Rows of the same id and expiry follow each
 * other. */
const char *pages_id(const struct pages *p, size_t i);

/* Its expiry, in microseconds of Postgres's time. */
int64_t pages_expires_us(const struct pages *p, size_t i);

/* Where it lies in its table (PAGES_PLACE_BITS); 0: not asked for. */
uint64_t pages_place(const struct pages *p, size_t i);

/* How long the last answer took, in microseconds. */
int64_t pages_took_us(const struct pages *p);

/* The late rows; valid only inside done. There are none when they were not asked for, or there was
 * an error: pages_has_late tells. */
bool pages_has_late(const struct pages *p);

/* How many there are. */
size_t pages_late_count(const struct pages *p);

/* The id of row i of them. */
const char *pages_late_id(const struct pages *p, size_t i);

/* Its product; "": it has none. */
const char *pages_late_product(const struct pages *p, size_t i);

/* Its expiry, in microseconds of Postgres's time. */
int64_t pages_late_expires_us(const struct pages *p, size_t i);

#endif
