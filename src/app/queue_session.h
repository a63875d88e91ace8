/* A mode that asks the database of one queue after the other, and ends: one connection for each,
 * and nothing else. */
#ifndef RS_QUEUE_SESSION_H
#define RS_QUEUE_SESSION_H

#include "app/context.h"

#include <stdbool.h>

struct config;
struct pg_link;
struct timer;

struct queue_session {
    struct context context;
    const struct config *config; /* the queue's */
    struct pg_link *link;        /* up, not busy, while `begin` is called */
    struct timer *limit;         /* when a server that is not connected by then has failed */
    const struct queue_session_work *work;
    void *arg; /* the work's */
    bool begun;
    int status;
};

struct queue_session_work {
    const char *application;
    /* The statements are ready (error NULL), or cannot be made, for which the sentence is given.
     * Called once; ends in queue_session_end, now or on a later turn. */
    void (*begin)(struct queue_session *s, const char *error);
    /* Frees what hangs on the loop; begin need not have been called. */
    void (*end)(struct queue_session *s);
    void *arg;
};

/* Connects to the database of one queue, within 5 s, makes its statements, has the work done, and
 * returns the status that queue_session_end is given. A server out of reach is EXIT_FAILED, with an
 * ERROR record. */
int queue_session_run(const struct config *config, const struct queue_session_work *work);

/* The session ends, outside the callback that it is called from. */
void queue_session_end(struct queue_session *s, int status);

/* Logs why it failed, at ERROR, with the queue's name, and ends it. */
void queue_session_failed(struct queue_session *s, const char *error);

/* Of the exit statuses of two queues, that of both: 1 comes before 2, 2 before 3, 3 before 0. */
int queue_session_worse(int a, int b);

#endif
