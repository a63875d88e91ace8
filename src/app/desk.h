/* Work at the operator's desk, about one queue: it connects to both servers, then takes its steps,
 * each of which asks one server one thing. The same for a mode and for a route of the daemon: what
 * is out of reach is said, and the other is asked all the same. */
#ifndef RS_DESK_H
#define RS_DESK_H

#include "link/pg_link.h"
#include "store/ask.h"

#include <stdbool.h>

struct desk;
struct parts;
struct timer;

/* A step: true when it waits for an answer, whose callback begins with desk_answered and ends in
 * desk_go_on; false: on to the next one. */
typedef bool desk_step(struct desk *d);

struct desk_work {
    const char *application;
    bool without_postgres; /* it is not needed */
    bool needs_redis;      /* a mode waits for it, too */
    desk_step *const *steps;
    int nsteps;
    void (*done)(struct desk *d); /* all steps are taken */
    void (*free)(struct desk *d); /* frees all that the work has, *d too */
};

/* Embedded first in each kind of work. */
struct desk {
    struct parts *parts;
    const struct desk_work *work;
    struct pg_link *link;
    struct timer *turn;
    int64_t limit_us; /* monotonic: until when a server has to be connected */
    int step;         /* how many have been taken; -1: not connected yet */
    bool waiting;     /* an answer is owed */
    bool closed;
    /* As they are when the first step is taken; "": it can be asked. */
    char postgres_error[PG_REASON_SIZE];
    bool unusable; /* ... is about its tables */
    bool locked;   /* ... is about one that somebody holds locked */
    char redis_error[PG_REASON_SIZE];
    /* Of an answer that is an error, while it is asked who holds a table locked. */
    void (*said)(struct desk *d, const char *why);
};

/* Begins; *d is zero, and work->free is owed. work must live as long; parts, with its links to
 * Redis, must outlive it. Returns 0, or -1 when memory ran out; desk_close in both cases. */
int desk_open(struct desk *d, struct parts *parts, const struct desk_work *work)
    __attribute__((warn_unused_result));

/* Ends it: done is not called any more. It is freed now, or when the answer that it waits for has
 * come or the queue is closed. Not allowed inside a callback of its link, but in done. */
void desk_close(struct desk *d);

/* In a step: something was sent (0), or nothing (-1). Returns what the step returns. */
bool desk_asked(struct desk *d, int rc);

/* First in each answer's callback: false: it has been closed, and is gone perhaps. */
bool desk_answered(struct desk *d);

/* On a later turn: the next step. */
void desk_go_on(struct desk *d);

bool desk_has_redis(const struct desk *d);

/* Postgres can be asked, and has been so far. */
bool desk_has_postgres(const struct desk *d);

/* It has not been: why. */
void desk_lost_postgres(struct desk *d, const char *why);

/* In the callback of an answer that is an error, at its end: said(d, why), now or later, and the
 * next step. why: who holds a table locked, where it may be for that; else the server's message. */
void desk_refused(struct desk *d, const struct pg_answer *answer,
                  void (*said)(struct desk *d, const char *why));

/* Asks Postgres, by statements, in a transaction that waits 2 s for a lock and 5 s for an answer;
 * n: 3 at most. Results stand from the second place on. As a step. */
bool desk_ask(struct desk *d, const struct ask_query *queries, int n, pg_answer_cb *cb);

#endif
