/* What this process has done since it started: counters and histograms. Written by what
 * releases, read by logs and metrics. Plain numbers, no units but those in the names. */
#ifndef RS_STATS_H
#define RS_STATS_H

#include "base/units.h"

#include <stddef.h>
#include <stdint.h>

#define STATS_BUCKETS 20

/* counts[i]: observations at most bounds[i]; the last bucket is +Inf. Not cumulative. */
struct stats_histogram {
    const double *bounds;
    size_t nbounds;
    uint64_t counts[STATS_BUCKETS + 1];
    uint64_t n;
    double sum;
};

enum discard_reason { DISCARD_INACTIVE, DISCARD_MISSING, DISCARD_INVALID, DISCARD_REASONS };
enum reschedule_reason {
    RESCHEDULE_NOT_DUE,
    RESCHEDULE_EXTENDED,
    RESCHEDULE_LOCKED,
    RESCHEDULE_FAILED,
    RESCHEDULE_LEASE_EXPIRED,
    RESCHEDULE_REASONS
};

#define STATS_SQLSTATES 32

struct stats {
    uint64_t released, uncounted;
    struct units released_units;
    uint64_t discarded[DISCARD_REASONS];
    uint64_t rescheduled[RESCHEDULE_REASONS];
    uint64_t unknown_commits; /* reservations in batches whose COMMIT had no answer */
    uint64_t batches;
    uint64_t claims;         /* of Redis, that brought something */
    int64_t last_release_us; /* Postgres's time of its commit; 0: none yet */
    struct {
        char sqlstate[6];
        uint64_t count;
    } failed[STATS_SQLSTATES]; /* the last place collects what finds no room, as "other" */
    struct stats_histogram lateness_s, batch_s, batch_size, redis_request_s;
};

/* All zero, but for the bounds of the histograms and the name of the commonest refusal. */
void stats_init(struct stats *s);

/* Counts one observation. */
void stats_observe(struct stats_histogram *h, double value);

/* Counts one refusal; of an SQLSTATE that finds no room as "other". */
void stats_failed(struct stats *s, const char *sqlstate);

/* All refusals together. */
uint64_t stats_failed_total(const struct stats *s);

#endif
