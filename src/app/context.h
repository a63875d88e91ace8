/* What every mode that talks to the servers sets up: loop, Redis, statements, shared state. */
#ifndef RS_CONTEXT_H
#define RS_CONTEXT_H

#include "base/callback.h"
#include "link/redis_link.h"
#include "release/parts.h"

struct secrets;

struct context {
    struct parts parts;
    struct secrets *secrets;
    char *postgres; /* where, for logs: as the secrets say it now */
    char *redis;
    unsigned postgres_moves; /* times that it was another server */
};

/* on_redis: the Redis link's on_state. 0, or -1 (out of memory; logged). */
int context_open(struct context *c, const struct config *config,
                 void (*on_redis)(void *arg, enum redis_state state, const char *reason), void *arg)
    __attribute__((warn_unused_result));

/* For modes that end by themselves: calls cb(arg) at each signal to end earlier, SIGTERM, SIGINT,
 * and SIGHUP unless it was ignored from the start (nohup). Returns 0, or -1. */
int context_on_end(struct context *c, event_cb *cb, void *arg) __attribute__((warn_unused_result));

/* Ends what the queue has under way, calling back with an error: before its users are freed. */
void context_close_queue(struct context *c);

/* Frees everything; users of the loop must have been freed before. */
void context_close(struct context *c);

/* NULL, or one sentence on why this Redis cannot be used (a Cluster). Requires that it is up. */
const char *context_redis_unusable(const struct context *c);

#endif
