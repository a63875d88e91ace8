/* Whether Redis can be used: the one notion of it, on which feed, sweeper, health and the log act.
 * Releases go on straight from Postgres (degraded) while Redis is out of reach, and while it is
 * there and refuses: a right that is missing, memory, a key of another type, a script of somebody
 * else's that runs for minutes.
 *
 * A connection is used after a probe has gone through (due_queue_probe). The first call of the
 * queue that Redis refuses ends the use; then the probe is made again every second, after relapses
 * every five, until it goes through. In use it is made every thirty, since some rights are needed
 * seldom.
 *
 * Each queue has a link and a use of its own, since rights may differ by key, and a Cluster's nodes
 * by slot. The records are one outage for all of them: it is over when none is degraded. */
#ifndef RS_REDIS_USE_H
#define RS_REDIS_USE_H

#include "base/callback.h"
#include "link/redis_link.h"

#include <stdbool.h>

struct due_queue;
struct loop;
struct redis_finder;
struct redis_outage;
struct redis_use;

/* address: for the records; borrowed, and may become another. NULL: out of memory. */
struct redis_outage *redis_outage_new(struct loop *loop, char *const *address);
void redis_outage_free(struct redis_outage *o); /* after its uses; NULL is legal */

/* A use has been freed: what was said for it alone is over, or said of those that still are so. */
void redis_outage_judge(struct redis_outage *o);

struct redis_use_options {
    struct redis_outage *outage;
    const struct redis_link *redis;
    const struct redis_finder *finder; /* in front of the link */
    struct due_queue *queue;           /* over the link; its on_refused is taken */
    event_cb *on_change;
    void *arg;
};

/* What options name must outlive it. on_change fires on a turn of its own when redis_use_ok
 * or redis_use_degraded has changed, and after each reconnect. NULL: out of memory. */
struct redis_use *redis_use_new(struct loop *loop, const struct redis_use_options *options);

/* What the link's on_state says. */
void redis_use_link(struct redis_use *u, enum redis_state state, const char *reason);

/* The queue must be closed before; NULL is legal. */
void redis_use_free(struct redis_use *u);

/* A probe has gone through, and nothing has been refused since. */
bool redis_use_ok(const struct redis_use *u);

/* It is in use at another server than it was before. */
bool redis_use_moved(const struct redis_use *u);

/* It is out of reach or refuses; false as long as nothing is known. */
bool redis_use_degraded(const struct redis_use *u);

/* Why it is degraded; "" when it is not. Good until the state changes. */
const char *redis_use_reason(const struct redis_use *u);

#endif
