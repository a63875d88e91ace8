/* One poll of Postgres at a time: pages of active reservations, by expiry, each mirrored into Redis
 * before the next is asked for. Each poll brings a sample of Postgres's clock, and what is late
 * (overdue.h): that one is told with the first page, and again as often as it likes. */
#ifndef RS_POLL_H
#define RS_POLL_H

#include <stdint.h>

struct overdue;
struct parts;
struct pg_link;
struct poll;

enum poll_kind {
    POLL_CLOCK,   /* no row, only the clock and what is late: without the role or a look-ahead */
    POLL_AGAIN,   /* the same, for what seemed late: the next regular poll keeps its time */
    POLL_REGULAR, /* what the last poll could not see: the feeder's */
    POLL_FULL,    /* all that has expired, and with a look-ahead what will within it */
};

struct poll_options {
    struct overdue *overdue; /* must outlive the object */

    /* A page has been mirrored: entries were added or became earlier, of these the earliest. */
    void (*on_mirrored)(void *arg, int64_t earliest_ms);

    /* The poll came to its end (error is NULL), or not. began_us: Postgres's time at its beginning.
     * Fires once for each poll_start that returned NULL, never from inside it. */
    void (*on_done)(void *arg, int64_t began_us, const char *error);
    void *arg;
};

/* link: up and not busy at each poll_start; not used otherwise. NULL: out of memory. */
struct poll *poll_new(struct parts *parts, struct pg_link *link,
                      const struct poll_options *options);
void poll_free(struct poll *p); /* its link and the queue must be closed before; NULL is legal */

/* Polls what expires at or after from_us (Postgres's time, or as in pages.h). Returns NULL, or why
 * nothing was sent: then it has not begun. Requires that none is under way. */
const char *poll_start(struct poll *p, enum poll_kind kind, int64_t from_us);

/* The poll under way, if any, ends with the page in hand, as if it were the last; no other may be
 * started. */
void poll_stop(struct poll *p);

#endif
