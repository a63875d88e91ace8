/* What every mode that talks to the servers sets up: for one queue, as the modes that end by
 * themselves go through them; and the parts of one queue, as the daemon has them of each. */
#ifndef RS_CONTEXT_H
#define RS_CONTEXT_H

#include "app/servers.h"
#include "base/callback.h"
#include "release/parts.h"

struct context {
    struct servers servers;
    struct database *database;
    struct queue_redis *redis;
    struct parts parts;
};

/* config: the queue's settings. on_redis: the Redis link's on_state. 0, or -1 (out of memory;
 * logged). */
int context_open(struct context *c, const struct config *config, redis_state_cb *on_redis,
                 void *arg) __attribute__((warn_unused_result));

/* For modes that end by themselves: calls cb(arg) at each signal to end earlier, SIGTERM, SIGINT,
 * and SIGHUP unless it was ignored from the start (nohup). Returns 0, or -1. */
int context_on_end(struct context *c, event_cb *cb, void *arg) __attribute__((warn_unused_result));

/* Ends what the queue has under way, calling back with an error: before its users are freed. */
void context_close_queue(struct context *c);

/* Frees everything; users of the loop must have been freed before. */
void context_close(struct context *c);

/* Where the servers are, for logs. */
const char *context_postgres(const struct context *c);
const char *context_redis(const struct context *c);

/* NULL, or one sentence on why REDIS_URL cannot be meant so: see redis_finder_fault. */
const char *context_redis_fault(const struct context *c);

/* The parts of a queue, over its own connection to Redis. Returns 0, or -1: out of memory; to be
 * cleared in both cases, before that is closed. */
int queue_parts_init(struct parts *parts, struct servers *servers, struct database *database,
                     const struct config *config, const struct queue_redis *redis)
    __attribute__((warn_unused_result));
void queue_parts_clear(struct parts *parts);

/* As many descriptors may be open as the queues need; else it is said at ERROR. */
bool enough_files(const struct config *config, int nqueues) __attribute__((warn_unused_result));

#endif
