/* The last record of --once and POST /sweep. */
#ifndef RS_CLEANUP_LOG_H
#define RS_CLEANUP_LOG_H

#include "base/units.h"

#include <stdbool.h>
#include <stdint.h>

struct drain_result;

/* Of one queue. */
struct cleanup {
    const char *queue;
    int64_t began_us; /* monotonic */
    bool dry_run;
    uint64_t cleaned; /* reservations released, or, in a dry run, due */
    struct units units;
    uint64_t failed;  /* refused, or deferred with their product */
    uint64_t skipped; /* locked to the end */
    uint64_t kept;    /* by their queue's keep_while */
};

/* What a drain has come to so far. */
void cleanup_take(struct cleanup *c, const struct drain_result *result);

/* Adds another queue's: the sum has no queue. */
void cleanup_add(struct cleanup *sum, const struct cleanup *more);

/* INFO: it came to its end, for n queues, 1 at least. Of several the totals, and what each has come
 * to in `queues`. */
void cleanup_completed(const struct cleanup *list, int n);

/* ERROR: for this queue it did not. error: one line. */
void cleanup_failed(const struct cleanup *c, const char *error);

#endif
