/* Reservations that should have been released by now, as one poll of Postgres saw them, and what
 * Redis has of each. */
#ifndef RS_LATE_H
#define RS_LATE_H

#include "base/time_units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct due_state;
struct pages;

/* A locked one is put back at most 5 s ahead (backoff.h). */
#define LATE_LOCKED_AHEAD_MS (6 * SECOND_MS)

enum late_kind {
    LATE_AT_WORK, /* it is due in Redis, or claimed */
    LATE_LOST,    /* nothing in Redis leads to it in time */
    LATE_LOCKED,  /* put back for a moment, since somebody holds it */
    LATE_REFUSED, /* Postgres refused it: it has a record, with the time of its next try */
    LATE_KEPT,    /* it is kept by its queue's keep_while: likewise */
};

struct late_row {
    char *id;
    char *product;      /* one of its products; "" when it has none */
    int64_t expires_us; /* when its latest active row did */
    enum late_kind kind;
    int64_t sent_us; /* monotonic: when Redis was last told of it because it was lost; 0: never */
};

/* Oldest first. Zeroed, there are none. */
struct late {
    struct late_row *rows;
    size_t n;
    struct late_row **by_id; /* the same, for late_find: late_index */
};

/* The rows have been written: by_id, which has room for n, follows. */
void late_index(struct late *l);

/* Copies the late rows of the page in hand (pages_want_late) into one that has none. 0, or -1: out
 * of memory. */
int late_take(struct late *l, const struct pages *pages) __attribute__((warn_unused_result));
void late_clear(struct late *l); /* zeroes it */

/* NULL: it is not among them. Good until they are cleared. */
const struct late_row *late_find(const struct late *l, const char *id);

/* What Redis's answer means, at now_ms by Postgres's clock. fault: Postgres releases nothing at
 * present, so that what was put back for a moment says nothing of locks. locked: this process has
 * met it locked; one that is claimed, or due at this moment, may have been met so each time so far.
 */
enum late_kind late_judge(const struct due_state *state, int64_t now_ms, bool fault, bool locked);

/* It makes the queue late: it is neither refused, nor kept, nor locked. */
bool late_counts(enum late_kind kind);

#endif
