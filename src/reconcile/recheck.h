/* Suspects, and the second look at them. */
#ifndef RS_RECONCILE_RECHECK_H
#define RS_RECONCILE_RECHECK_H

#include "reconcile/findings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recheck;
struct reconcile;

/* Makes r->recheck. Returns 0, or -1: out of memory. */
int recheck_new(struct reconcile *r) __attribute__((warn_unused_result));
void recheck_free(struct recheck *c); /* NULL is legal; Redis must owe no answer */

/* Notes a suspect, which is looked at again after delay_us at the earliest. id is copied, and may
 * hold any byte; first: as of judge_redis. Out of memory: the run fails. */
void recheck_add(struct reconcile *r, enum suspicion what, const char *id, size_t id_len,
                 int64_t first, int64_t delay_us);

/* There are more of them than are to be kept in memory: recheck_drain before more are added. */
bool recheck_full(const struct reconcile *r);

/* Looks again at the suspects, each when its time has come, until few are left, or none (all); then
 * cb, on a later turn, unless the run fails. It uses the connection to Postgres meanwhile. */
void recheck_drain(struct reconcile *r, bool all, void (*cb)(struct reconcile *r));

#endif
