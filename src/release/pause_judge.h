/* What a look at Redis's pause means to who has seen one before: pure.
 *
 * Each order, to pause or to resume, has a number, which is higher than that of the order before it
 * and stays in Redis when the pause is gone. So the last order holds, wherever it is still known: a
 * pause that is missing though no later order is there was lost, and is written back; one that a
 * later order has ended is forgotten, and is ended again where an older Redis comes back with it. A
 * pause without a number was written by hand, and holds. */
#ifndef RS_PAUSE_JUDGE_H
#define RS_PAUSE_JUDGE_H

#include "release/pause_record.h"

#include <stdbool.h>
#include <stdint.h>

#define PAUSE_ORDER_KEPT_MS                                                                        \
    ((PAUSE_TIME_MAX_US + DAY_US) / MS_US) /* a number outlives any pause                          \
                                            */

struct pause_sight {
    int64_t order; /* number of the last order; 0: none */
    bool paused;   /* there is a pause whose end has not come */
};

enum pause_verdict {
    PAUSE_TAKE,    /* what is seen holds from now on */
    PAUSE_RESTORE, /* what was known holds: Redis is to have it again */
};

/* known: what held so far; zeroed: nothing is known. now_ms: Postgres's time; 0: not known. */
enum pause_verdict pause_judge(const struct pause_sight *known, const struct pause_sight *seen,
                               int64_t now_ms);

/* The number of the next order. */
int64_t pause_next_order(int64_t seen, int64_t now_ms);

/* A number as it stands in Redis; 0 for what is none. */
int64_t pause_order_read(const char *text);

#endif
