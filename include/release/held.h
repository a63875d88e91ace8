/* Tells others, through Redis, that the first-run limit holds this queue (first_run.h): a role
 * ({prefix}:held) of the sweeper that holds it. Who has it is its mapping, its name and why. It
 * ends by itself when that sweeper is gone. */
#ifndef RS_HELD_H
#define RS_HELD_H

#include "link/pg_link.h"

struct due_queue;
struct held;
struct parts;

/* Not started. parts must outlive it, and its queue must have been freed before it is. NULL: out of
 * memory. */
struct held *held_new(struct parts *parts);

/* Looks now and then, from now on, whether the queue is held. */
void held_start(struct held *h);

/* Looks no more, and takes back what was told. NULL is legal. */
void held_stop(struct held *h);

/* NULL is legal. */
void held_free(struct held *h);

/* reason: "" when no sweeper holds it, as far as Redis knows. It ends with the callback. */
typedef void held_cb(void *arg, const char *reason, const char *error);

/* Asks Redis whether a sweeper holds this queue, and nobody has accepted since what it serves.
 * Returns 0, or -1 when Redis is down: cb will not fire. */
int held_ask(struct due_queue *q, held_cb *cb, void *arg) __attribute__((warn_unused_result));

#endif
