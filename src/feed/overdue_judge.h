/* What late reservations say of the queue: pure. The lists are oldest first; `now` is what the last
 * poll found, `before` what the one before it did. */
#ifndef RS_OVERDUE_JUDGE_H
#define RS_OVERDUE_JUDGE_H

#include "base/time_units.h"
#include "feed/late.h"
#include "feed/overdue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OVERDUE_IDLE_US (15 * SECOND_US)     /* nothing is late; less what one takes */
#define OVERDUE_IDLE_MIN_US (5 * SECOND_US)  /* ... but no less than this */
#define OVERDUE_AGAIN_MIN_US SECOND_US       /* while something is late */
#define OVERDUE_AGAIN_MAX_US (8 * SECOND_US) /* ... however long a poll takes */
#define OVERDUE_AGAIN_FACTOR 10              /* ... and so many times as long, up to that */
#define OVERDUE_TELL_AGAIN_US (30 * SECOND_US)
#define OVERDUE_MOST 500 /* rows that a poll asks for */
/* While all of those are refused or locked, what comes behind them is asked for too: Redis keeps at
 * most 10,000 records. */
#define OVERDUE_MOST_HIDDEN 12000

struct overdue_verdict {
    const struct late_row *oldest; /* of `now`, that counts; NULL: none */
    size_t locked;                 /* of `now`, by others */
    int most;                      /* how many rows the next poll is to ask for */
    int64_t pause_us;              /* until that */
};

/* confirm: one that is seen once only does not count (struct overdue_options). most: how many rows
 * the poll asked for; cost_us: how long it took. */
struct overdue_verdict overdue_judge(const struct late *now, const struct late *before,
                                     bool confirm, int most, int64_t cost_us);

/* Those of `now` that Redis is to be told of, into lost, which has room for all of them; returns
 * how many. They take over from `before` when they were told last. backlog: what has just been
 * released may look lost. now_us: monotonic. */
size_t overdue_lost(struct late *now, const struct late *before, bool backlog, int64_t now_us,
                    struct late_row **lost);

/* What has been told of the oldest, and when. */
struct overdue_told {
    int64_t began_us; /* monotonic: since when anybody could have told */
    int64_t told_us;  /* monotonic: the last time; 0: never */
    int64_t since_us; /* Postgres's time at which the oldest expired; 0: there is none */
};

/* Fills in known, silent_us and since_us. */
void overdue_age(const struct overdue_told *told, int64_t now_us, struct overdue_view *view);

#endif
