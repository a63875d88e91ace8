/* What an operator does about the records of :failed and :kept (due_queue.h). */
#ifndef RS_RECORDS_H
#define RS_RECORDS_H

#include "queue/due_queue.h"

typedef void due_retried_cb(void *arg, size_t retried, size_t claimed, const char *error);

/* Has those that have a record in :failed or :kept looked at at once; at_ms is a time that has
 * come. n: 0 to DUE_QUEUE_SCRIPT_MAX. cb: how many are due now; how many more have a record and are
 * claimed at this moment. Strings are copied. Returns 0, or -1 when Redis is down or memory ran
 * out: nothing was sent and cb will not fire. */
int due_queue_retry(struct due_queue *q, const struct due_entry *entries, size_t n,
                    due_retried_cb *cb, void *arg) __attribute__((warn_unused_result));

/* The same: removes their records from :failed, and has those looked at at once that had one. cb:
 * n = records that were removed. */
int due_queue_forget(struct due_queue *q, const struct due_entry *entries, size_t n,
                     due_count_cb *cb, void *arg) __attribute__((warn_unused_result));

#endif
