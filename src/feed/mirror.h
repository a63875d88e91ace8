/* Puts rows of Postgres into Redis. */
#ifndef RS_MIRROR_H
#define RS_MIRROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mirror;
struct pages;
struct parts;

/* on_done(arg, earliest_ms, error): earliest_ms is the earliest of the page's times when entries
 * were added or became earlier, else INT64_MAX; error is NULL, or why not all was taken. NULL: out
 * of memory. */
struct mirror *mirror_new(struct parts *parts,
                          void (*on_done)(void *arg, int64_t earliest_ms, const char *error),
                          void *arg);
void mirror_free(struct mirror *m); /* its queue must have been closed before; NULL is legal */

struct mirror_row {
    const char *id;
    int64_t expires_us; /* Postgres's time */
};

/* Mirrors n rows (n > 0), copying them, but for ids of more than 255 bytes, of which the log is
 * told once. on_done fires once, never from inside this call. Returns NULL, or why nothing was
 * sent. Requires that it is not busy. */
const char *mirror_rows(struct mirror *m, const struct mirror_row *rows, size_t n);

/* The same for the first n rows of the page in hand. */
const char *mirror_page(struct mirror *m, const struct pages *pages, size_t n);

/* on_done has yet to fire. */
bool mirror_busy(const struct mirror *m);

#endif
