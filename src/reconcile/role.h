/* The role of a reconciliation: a leased key in Redis, so that two never run at once, wherever they
 * run. */
#ifndef RS_RECONCILE_ROLE_H
#define RS_RECONCILE_ROLE_H

#include <stdbool.h>

struct reconcile;
struct role;

/* Makes r->role. Returns 0, or -1: out of memory. taken(r) fires when the role is ours, once. */
int role_new(struct reconcile *r, void (*taken)(struct reconcile *r))
    __attribute__((warn_unused_result));
void role_free(struct role *role); /* NULL is legal; the lease is left to its end */

/* Asks for the role, on a later turn, and waits for one that may be a dead run's. taken follows, or
 * the run fails (result.taken: a live one's); later too, when another has taken it. */
void role_start(struct reconcile *r);

/* Once it is ours. */
bool role_is_ours(const struct reconcile *r);

/* Gives it up. False: Redis's answer has to be waited for (run_answered); call again then. */
bool role_stop(struct reconcile *r);

#endif
