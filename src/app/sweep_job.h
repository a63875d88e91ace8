/* POST /sweep for one queue: what --once does, inside the running daemon, on a connection of its
 * own that is made for the purpose and closed afterwards. */
#ifndef RS_SWEEP_JOB_H
#define RS_SWEEP_JOB_H

#include "app/cleanup_log.h"

#include <stdbool.h>

struct parts;
struct sweep_job;

struct sweep_job_result {
    const char *error; /* NULL: it came to its end; ends with the callback */
    bool out_of_reach; /* ... Postgres was lost, or never reached */
    struct cleanup cleanup;
};

/* Starts at once; done(arg, result) fires once, never from inside this call. parts must outlive it.
 * NULL: out of memory. */
struct sweep_job *sweep_job_new(struct parts *parts,
                                void (*done)(void *arg, const struct sweep_job_result *result),
                                void *arg);

/* Ends after the batch under way; done follows. */
void sweep_job_stop(struct sweep_job *j);

/* Without calling back. Not allowed inside done; the queue's callbacks must be over or the queue
 * closed. NULL is legal. */
void sweep_job_free(struct sweep_job *j);

#endif
