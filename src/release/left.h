/* The oldest reservation that a pass has read and not released, for want of a connection, or of a
 * statement that works. What is refused, locked or deferred is decided, and not left. */
#ifndef RS_LEFT_H
#define RS_LEFT_H

#include <stddef.h>
#include <stdint.h>

struct item;

struct left {
    char *id;           /* NULL: there is none */
    int64_t expired_us; /* Postgres's time, by the row that was read */
};

/* The oldest of n items that is left, or has no outcome yet. NULL: none. */
const struct item *left_first(const struct item *items, size_t n);

/* Keeps that one, unless one that is as old is kept already. */
void left_note(struct left *left, const struct item *items, size_t n);

/* There is none any more. */
void left_clear(struct left *left);

#endif
