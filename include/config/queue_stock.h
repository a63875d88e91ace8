/* What the counters of a queue count: pure. */
#ifndef RS_QUEUE_STOCK_H
#define RS_QUEUE_STOCK_H

#include "config/queue.h"

/* Of all queues of a file: notes who shares counters with whom (struct queue_stock). */
void queue_stock_note(struct queue *const *all, int n);

/* Whether two names may be the same table's: one without a schema may be that of any. */
bool queue_tables_alike(const struct queue_table *a, const struct queue_table *b);

/* Why the counters of this queue cannot be compared with holds, one sentence of static storage;
 * NULL: they can, or it has none. */
const char *queue_not_comparable(const struct queue *queue);

/* Whether one comparison does for the counters of both, which are the same: what is found, and what
 * a repair sets. */
bool queue_compared_alike(const struct queue *a, const struct queue *b);

/* The condition of the holds that `held` counts. */
const char *queue_counted(const struct queue *queue);

/* Copies a queue to *out, which borrows all from it, with the columns of its key in the order in
 * which another has those of the counters; these are the same. */
void queue_with_keys_of(const struct queue *queue, const struct queue *other, struct queue *out);

#endif
