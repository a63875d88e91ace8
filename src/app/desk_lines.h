/* The lines of a list: reservations that were found, in order, and the page of them that is wanted.
 * Pure. */
#ifndef RS_DESK_LINES_H
#define RS_DESK_LINES_H

#include "app/explain_facts.h"
#include "config/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DESK_LINES_MOST 150000 /* beyond, nothing more is taken: more than Redis has records */

/* What Redis has of one. */
enum desk_state { DESK_NOWHERE, DESK_WAITING, DESK_CLAIMED, DESK_REFUSED, DESK_KEPT, DESK_UNKNOWN };

struct desk_line {
    char *id; /* owned, id_len bytes and a terminator; may be any bytes */
    size_t id_len;
    char *product;    /* owned; its keys, a line each; NULL: not known */
    int64_t order_ms; /* what lines are ordered by: when it was due, or first refused, or kept */
    int64_t past_ms;  /* a time that has come, by its record: when it may be looked at */
    enum desk_state state;
    char *record; /* owned: the JSON of :failed or :kept that state is about; NULL: there is none */
    size_t record_len;
    char sqlstate[6];                /* of that; "" */
    struct explain_blocker *blocker; /* owned; NULL: nobody has it locked */
    bool dropped;                    /* it is none of the list */
};

/* Zeroed, there are none. */
struct desk_lines {
    struct desk_line *all;
    size_t n, room;
    bool failed; /* memory ran out */
    bool more;   /* there are more than were taken, or more behind the page */
};

/* A new line of an id, zero but for that; NULL: out of memory, or there are too many. */
struct desk_line *desk_lines_add(struct desk_lines *l, const char *id, size_t id_len);
void desk_lines_clear(struct desk_lines *l);

/* Takes a record of :failed, or of :kept: state, sqlstate, and, where they are not set, order_ms
 * and past_ms. */
void desk_line_record(struct desk_line *line, const char *record, size_t len, bool kept);

/* What the record says has been read, and it is not shown. */
void desk_line_forget(struct desk_line *line);

/* A key of it, beside those that it has. Each key once. */
void desk_line_product(struct desk_line *line, const char *key);

/* Where a page begins: behind this line of this queue. */
struct desk_place {
    int64_t order_ms;
    char queue[QUEUE_NAME_MAX + 1];
    const char *id; /* within the text that was read */
};

/* "1763942400000:queue:id". Returns 0, or -1: it is none. */
int desk_place_read(struct desk_place *place, const char *text) __attribute__((warn_unused_result));

/* The same as text, malloc'd; NULL: out of memory. */
char *desk_place_text(const char *queue, const struct desk_line *line);

struct desk_filter {
    const char *product, *sqlstate; /* NULL: any */
    const struct desk_place *after; /* NULL: from the first */
    const char *queue;              /* of the lines: for after */
};

/* Leaves what the filter lets pass, in order, each id once, `most` at most (0: all). */
void desk_lines_page(struct desk_lines *l, const struct desk_filter *filter, size_t most);

/* How two lines of two queues compare: by time, queue and id. */
int desk_lines_compare(const struct desk_line *a, const char *queue_a, const struct desk_line *b,
                       const char *queue_b);

#endif
