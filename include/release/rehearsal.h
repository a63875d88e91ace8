/* A rehearsal: all that a release does, in a transaction that rolls back in the pipeline it was
 * sent in, with a look at holds and counters before and after. What comes of it, nobody else ever
 * sees; only sequences may have moved. */
#ifndef RS_REHEARSAL_H
#define RS_REHEARSAL_H

#include "config/queue.h"
#include "release/release.h"

#include <stddef.h>

struct pg_link;
struct pg_result;

struct rehearsal_result {
    const struct release_result *release; /* as of release_send; RELEASE_OK: it would be made */
    const struct pg_result *changes; /* as sql/rehearse_after.sql says; NULL unless RELEASE_OK */
    const struct pg_result *also[QUEUE_LIST_MAX]; /* ... of the statements of `also`, in order */
};

/* Rehearses the release of n items, the careful way in its explaining form, with nalso statements
 * of `also`; options as of release_send. On RELEASE_OK each item's outcome is set. done fires once,
 * never from inside this call; what it is given ends with it. Unless RELEASE_OK was said, the
 * session is of no use any more, since the transaction is still open there: pg_link_renew. Returns
 * 0, or -1 when nothing was sent. */
int rehearsal_send(struct pg_link *link, const struct release_options *options, struct item **items,
                   size_t n, int nalso,
                   void (*done)(void *arg, const struct rehearsal_result *result), void *arg)
    __attribute__((warn_unused_result));

#endif
