/* What a piece of the operator's SQL may be, as far as that shows without a database. Pure. That it
 * is what it claims to be is proved by Postgres (store/fragment.h). */
#ifndef RS_QUEUE_SQL_H
#define RS_QUEUE_SQL_H

#include "config/queue.h"

#include <stddef.h>

/* Looks at all pieces of a queue, and at what they assign. Returns 0; -1: *line is where the piece
 * stands, and `why` has the sentence, which begins with its key. */
int queue_sql_check(const struct queue *queue, int *line, char *why, size_t size)
    __attribute__((warn_unused_result));

#endif
