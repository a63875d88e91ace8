/* How late releases have been in each minute of the last hour, for GET /status and the page.
 *
 * Minutes are those of the monotonic clock, the same for all queues, so that theirs can be added
 * up. Of each there is what the histogram of lateness gained in it; that costs a release nothing.
 */
#ifndef RS_HISTORY_H
#define RS_HISTORY_H

#include "release/stats.h"

#include <stdbool.h>
#include <stdint.h>

#define HISTORY_MINUTES 60

struct history_minute {
    uint64_t counts[STATS_BUCKETS + 1]; /* as a histogram has them */
    int64_t overdue_us;                 /* the most that was seen; 0: nothing was overdue */
};

/* All zero: nothing is known yet. */
struct history {
    struct history_minute minutes[HISTORY_MINUTES]; /* minute m at m % HISTORY_MINUTES */
    int64_t first, last; /* the oldest minute that is known, and the one that is under way */
    bool begun;
    uint64_t seen[STATS_BUCKETS + 1]; /* what the histogram had when it was last noted */
};

/* Takes what has been released since the last call; often enough that each minute gets its own.
 * overdue_us: how long the oldest has been overdue, 0 when none is. mono_us never goes back. */
void history_note(struct history *h, const struct stats_histogram *lateness, int64_t overdue_us,
                  int64_t mono_us);

/* Adds a queue's history to that of others. */
void history_add(struct history *sum, const struct history *h);

/* How many minutes are known: up to HISTORY_MINUTES; 0: none yet. */
int history_minutes(const struct history *h);

/* The i-th of them, the oldest first. */
const struct history_minute *history_at(const struct history *h, int i);

/* All of them together; overdue_us is the most of all. */
struct history_minute history_hour(const struct history *h);

uint64_t history_released(const struct history_minute *m);

/* What a part of them (0.5, 0.99) was no later than, in seconds: reckoned within a bucket as if
 * they lay evenly in it, as Prometheus does. Beyond the last bound: that. 0 when there are none. */
double history_quantile_s(const struct history_minute *m, const struct stats_histogram *lateness,
                          double part);

#endif
