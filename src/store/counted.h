/* Tokens of sql/ that speak of the holds that counters count. */
#ifndef RS_COUNTED_H
#define RS_COUNTED_H

#include "config/queue.h"

#include <stddef.h>
#include <stdio.h>

struct mapping_types;
struct pg_link;

/* What they stand for, in a statement or in one of the sums of which it is made. */
struct counted {
    const char *sums;          /* {sums} */
    const struct queue *owner; /* of a sum: the queue whose counters they are */
    int place;                 /* ... and which of the queues that share them it is for */
};

/* The queues whose holds the counters of one count, from 0: itself, and who shares them. */
const struct queue *counted_queue(const struct queue *queue, int i);

/* Writes what a token stands for. Returns 0; -1: memory ran out, or the link is down; 1: it is none
 * of these. */
int counted_put(FILE *out, const struct mapping_types *types, const struct counted *counted,
                const char *token, size_t len, struct pg_link *link);

#endif
