/* The operator's queries for --reconcile, as they are sent. */
#ifndef RS_VERIFY_H
#define RS_VERIFY_H

#include "config/queue.h"

/* Query number i, from 0, of a queue's `verify`, malloc'd; NULL: memory ran out. Its answer, at
 * most VERIFY_ROWS_MAX rows: how many rows the query has; a row of it as JSON, a long one cut and
 * then a text. */
char *verify_render(const struct queue *queue, int i) __attribute__((warn_unused_result));

#define VERIFY_ROWS_MAX 10000

#endif
