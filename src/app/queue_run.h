/* One queue in the daemon: its parts, wired together. What it logs is about it (log_set_queue). */
#ifndef RS_QUEUE_RUN_H
#define RS_QUEUE_RUN_H

#include "base/callback.h"

#include <stdbool.h>
#include <stddef.h>

#define QUEUE_STOPPING "the sweeper is stopping, or its queues are being changed"

struct config;
struct health;
struct parts;
struct queue_run;
struct redis_outage;
struct servers;

/* The queues of the daemon, in the file's order. */
struct queue_runs {
    struct queue_run **all;
    int n;
};

/* config: the queue's settings. All must outlive it. NULL: out of memory or descriptors. */
struct queue_run *queue_run_new(struct servers *servers, struct redis_outage *outage,
                                const struct config *config);

/* Ends what it has under way in Redis, calling back with an error: before HTTP, which may have
 * asked for it, is freed. */
void queue_run_close(struct queue_run *q);
void queue_run_free(struct queue_run *q); /* NULL is legal */

/* Of a queue that takes the place of another of its name: what that has counted, and was allowed to
 * release, goes on. Before its start. */
void queue_run_take_over(struct queue_run *q, struct queue_run *former);

/* INFO: it is served, and where it is. */
void queue_run_say(struct queue_run *q);

/* Begins to connect to Postgres, and to release. */
void queue_run_start(struct queue_run *q);

/* Not ready from now on; nothing new is begun. done(arg) fires once, on a later turn, when nothing
 * is in hand. */
void queue_run_stop(struct queue_run *q, event_cb *done, void *arg);

/* The grace is over: what has no answer is handed back; done of queue_run_stop follows. */
void queue_run_abandon(struct queue_run *q);

/* Writes what the log was spared so far: before the last record. */
void queue_run_flush_log(struct queue_run *q);

const struct config *queue_run_config(const struct queue_run *q);
const char *queue_run_postgres(const struct queue_run *q); /* its address, for logs */
const char *queue_run_name(const struct queue_run *q);
struct parts *queue_run_parts(struct queue_run *q);
struct health *queue_run_health(struct queue_run *q);

/* Which of them has this name; -1: none. */
int queue_runs_find(const struct queue_runs *queues, const char *name);

#endif
