/* What --status asks of the servers of one queue. */
#ifndef RS_APP_STATUS_H
#define RS_APP_STATUS_H

#include "app/context.h"
#include "link/pg_link.h"
#include "release/pause_record.h"

#include <stdbool.h>
#include <stdint.h>

struct config;
struct json_t;
struct overdue;
struct pages;
struct timer;

#define STATUS_NO_ANSWER "no answer within 5 s"

/* Of one queue. */
struct status {
    struct context context;
    const char *queue;
    bool asked; /* the steps have been taken */
    struct pg_link *link;
    struct pages *pages;
    struct overdue *overdue;
    struct timer *advance; /* the next step; while connecting, its end */
    int step;              /* how many have been taken */
    bool connected;        /* ... or there is no more waiting for it */

    struct json_t *failures;
    int64_t sizes_asked_us;        /* monotonic: when Redis was asked */
    bool next_known;               /* Postgres was asked for that: */
    int64_t next_us;               /* the next expiry that it knows; 0: none */
    char error[PG_REASON_SIZE];    /* why Postgres could not be asked; "" when it could */
    char unusable[PG_REASON_SIZE]; /* why its tables cannot be used */
    char refused[256];             /* why Redis, which is there, cannot be used */
    char unknown[PG_REASON_SIZE];  /* why Postgres did not say what is late */
    char held[PG_REASON_SIZE];     /* why a sweeper holds the queue (first_run.h); "" */
    bool redis_known;
    bool paused; /* as Redis has it */
    struct pause_record pause;
};

/* Asks both servers of config's queue, for some seconds at most; what is known then stays in s,
 * which is all zeros before, until status_clear. Where it could not be asked at all, s->asked is
 * false, and the log says why. */
void status_ask(struct status *s, const struct config *config);

/* Ends its connections, and frees what s holds, asked or not. */
void status_clear(struct status *s);

#endif
