/* What becomes in Redis of a claimed reservation whose outcome is known. */
#ifndef RS_SETTLEMENT_H
#define RS_SETTLEMENT_H

#include "base/time_units.h"
#include "queue/due_queue.h"
#include "release/stats.h"

#include <stdint.h>

struct item;
struct queue_keep;

/* Until the next try after a fault of the server: no hammering. */
#define SETTLEMENT_FAULT_MS SECOND_MS

struct settlement {
    enum due_verdict verdict; /* DUE_FAILED, DUE_DEFERRED, DUE_KEPT: with a record of this time */
    int64_t at_ms;            /* when to look again; 0: forgotten */
    enum reschedule_reason reason; /* why; RESCHEDULE_REASONS: it is not counted */
};

/* Pure: neither changes the item nor counts anything. A locked one has been noted before (locked.h:
 * due_us). now_ms: Postgres's time. keep: the queue's. */
struct settlement settlement_of(const struct item *item, int64_t now_ms,
                                const struct queue_keep *keep);

/* The record that belongs to DUE_FAILED, DUE_DEFERRED or DUE_KEPT: malloc'd; NULL: out of memory.
 */
char *settlement_record(const struct item *item, const struct settlement *s, int64_t now_ms);

#endif
