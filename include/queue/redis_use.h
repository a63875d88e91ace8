/* Whether Redis can be used: the one notion of it, on which feed, sweeper, health and the log act.
 * Releases go on straight from Postgres (degraded) while Redis is out of reach, and while it is
 * there and refuses: a right that is missing, memory, a key of another type, a script of somebody
 * else's that runs for minutes.
 *
 * A connection is used after a probe has gone through (due_queue_probe). The first call of the
 * queue that Redis refuses ends the use; then the probe is made again every second, after relapses
 * every five, until it goes through. In use it is made every thirty, since some rights are needed
 * seldom. */
#ifndef RS_REDIS_USE_H
#define RS_REDIS_USE_H

#include "link/redis_link.h"

#include <stdbool.h>

struct redis_use;
struct parts;

/* on_change fires on a turn of its own when redis_use_ok or redis_use_degraded has changed, and
 * after each reconnect. address: for the records; borrowed, and may become another. parts must have
 * its queue; the object is not noted there. NULL: out of memory. */
struct redis_use *redis_use_new(struct parts *parts, char *const *address,
                                void (*on_change)(void *arg), void *arg);
void redis_use_free(struct redis_use *u); /* the queue must be closed; NULL is legal */

/* What the link's on_state says. */
void redis_use_link(struct redis_use *u, enum redis_state state, const char *reason);

/* A probe has gone through, and nothing has been refused since. */
bool redis_use_ok(const struct redis_use *u);

/* It is out of reach or refuses; false as long as nothing is known. */
bool redis_use_degraded(const struct redis_use *u);

/* Why it is degraded; "" when it is not. Good until the state changes. */
const char *redis_use_reason(const struct redis_use *u);

#endif
