/* A release that waits at its COMMIT for a synchronous standby, as the log has it. For blockers.c
 * alone.
 *
 * Postgres waits without end, and tells nobody: to the link it is an answer that does not come. It
 * has the locks of the release meanwhile, also when the connection is given up, so that there is
 * one such session of a database's sweepers and no more. When the wait ends, by the standby or by
 * somebody's cancelling it, the release is committed. */
#ifndef RS_STANDBY_WAIT_H
#define RS_STANDBY_WAIT_H

#include "base/outage.h"

#include <stdint.h>

struct pg_result;

struct standby_wait {
    struct outage outage; /* zeroed: nothing waits */
};

/* What sql/standby_wait.sql has answered, at this moment (monotonic): says in the log when it
 * begins, that it lasts, and when it is over. */
void standby_wait_note(struct standby_wait *w, const struct pg_result *r, int64_t now_us);

/* Since when (monotonic), as far as it was seen; 0: nothing waits. */
int64_t standby_wait_since_us(const struct standby_wait *w);

#endif
