/* A lock met inside a release: a trigger of the API's that changes what somebody holds, a table
 * that is being altered, a serialization failure. The error names no reservation, so whose lock it
 * was is searched by halving; each attempt in vain costs a wait. This decides, and only decides,
 * how far that goes: nothing here sends, waits or reads a clock. */
#ifndef RS_CONFLICTS_H
#define RS_CONFLICTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far one search goes. */
struct conflict_limits {
    int repeats; /* of the same, before it is halved: most locks are short */
    int few;     /* attempts in vain that are made in any case: a search that never comes to
                    a single one would never end, however long each attempt takes */
    int64_t fruitless_us; /* beyond those: while every attempt fails (a table is locked) */
    int64_t most_us;      /* ... and when some succeed */
};

/* One search: of one batch, or of what it has that was locked inside before. */
struct conflicts {
    const struct conflict_limits *limits;
    int failures;     /* attempts in vain */
    int64_t since_us; /* monotonic: when the first one failed */
    bool passed;      /* an attempt went through */
};

extern const struct conflict_limits conflict_limits_first; /* for those not known to be locked */
extern const struct conflict_limits conflict_limits_known; /* ... known to be: seldom any news */

enum conflict_step {
    CONFLICT_REPEAT, /* the same again */
    CONFLICT_HALVE,  /* both halves, each by itself */
    CONFLICT_LEAVE,  /* for later: it is locked, or one of them is */
};

/* An attempt with n reservations failed on a lock. */
enum conflict_step conflicts_met(struct conflicts *c, size_t n, int64_t mono_us);

/* An attempt went through. */
void conflicts_passed(struct conflicts *c);

#endif
