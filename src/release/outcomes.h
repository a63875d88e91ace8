/* What the answer of a release says of each item. */
#ifndef RS_OUTCOMES_H
#define RS_OUTCOMES_H

#include "release/release.h"

#include <stddef.h>

struct pg_result;

/* Sets the outcomes of n items, and what belongs to them, by the answer r to the statement of a
 * way. After a bulk release, or a backlog's, some may be OUTCOME_NONE. Returns 0, or -1 when the
 * answer is not what the statement gives: then the outcomes mean nothing. */
int outcomes_read(enum release_way way, struct item *const *items, size_t n,
                  const struct pg_result *r) __attribute__((warn_unused_result));

/* Afterwards, where a function makes the release: r says which of them it gave back. What it did
 * not is OUTCOME_LOCKED: left for later. Returns as outcomes_read. */
int outcomes_called(struct item *const *items, size_t n, const struct pg_result *r)
    __attribute__((warn_unused_result));

#endif
