/* The last record of --once and POST /sweep. */
#ifndef RS_CLEANUP_LOG_H
#define RS_CLEANUP_LOG_H

#include "base/units.h"

#include <stdbool.h>
#include <stdint.h>

struct drain_result;

struct cleanup {
    int64_t began_us; /* monotonic */
    bool dry_run;
    uint64_t cleaned; /* reservations released, or, in a dry run, due */
    struct units units;
    uint64_t failed;  /* refused, or deferred with their product */
    uint64_t skipped; /* locked to the end */
};

/* What a drain has come to so far. */
void cleanup_take(struct cleanup *c, const struct drain_result *result);

/* INFO: it came to its end. */
void cleanup_completed(const struct cleanup *c);

/* ERROR: it did not. error: one line. */
void cleanup_failed(const struct cleanup *c, const char *error);

#endif
