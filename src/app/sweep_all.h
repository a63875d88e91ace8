/* POST /sweep: a sweep job for each of the queues that were asked for, beside each other, and what
 * they come to. */
#ifndef RS_SWEEP_ALL_H
#define RS_SWEEP_ALL_H

#include "app/cleanup_log.h"
#include "app/sweep_job.h"

#include <stdbool.h>

struct queue_run;
struct sweep_all;

/* What became of one queue. */
struct sweep_outcome {
    const char *queue;
    struct cleanup cleanup;
    char error[512];   /* "": it came to its end */
    bool out_of_reach; /* ... Postgres was lost, or never reached */
};

/* Starts at once; done(arg, outcomes, n) fires once, never from inside this call, when all have
 * ended, whatever becomes of one. The log has said it then. The queues must outlive it. NULL: out
 * of memory. */
struct sweep_all *
sweep_all_new(struct queue_run *const *queues, int n,
              void (*done)(void *arg, const struct sweep_outcome *outcomes, int n), void *arg);

/* The answer to whoever asked for it, with what was released all the same: one line of JSON,
 * malloc'd; NULL: out of memory. *status: HTTP's. */
char *sweep_outcomes_json(const struct sweep_outcome *outcomes, int n, int *status);

/* Ends each after the batch under way; done follows. */
void sweep_all_stop(struct sweep_all *s);

/* Without calling back. Not allowed inside done; the queues must be idle or closed. NULL is legal.
 */
void sweep_all_free(struct sweep_all *s);

#endif
