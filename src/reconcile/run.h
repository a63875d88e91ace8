/* A run of a reconciliation, as its parts see it: what they share, and how they ask, fail and go
 * on.
 *
 * reconcile.c makes the parts and runs the phases, one after the other. A phase asks Postgres by
 * run_ask (one question at a time, over the run's own connection) and Redis by the functions of the
 * due queue, each between run_sent and run_answered; it ends by run_next, or by run_fail. Both only
 * arm `turn`, whose callback is reconcile.c's: so nothing here knows the phases, and no phase
 * begins inside another one's call.
 *
 * What must hold: after run_fail (run_ending) no phase sends anything more; the run ends when
 * nothing is under way any longer. Redis's answers may come after reconcile_free: the parts that
 * they reach live until the last one. */
#ifndef RS_RECONCILE_RUN_H
#define RS_RECONCILE_RUN_H

#include "link/pg_link.h"
#include "reconcile/reconcile.h"
#include "store/statements.h"

struct first_run;
struct pg_result;
struct timer;

/* The answer to run_ask; it ends with the call. */
typedef void run_rows_cb(struct reconcile *r, const struct pg_result *rows);

struct reconcile {
    struct parts *parts;
    struct reconcile_options options;
    struct reconcile_result result;
    struct pg_link *link;
    char error[PG_REASON_SIZE]; /* of the first failure; "" without */

    /* Of the run as a whole, written in run.c and reconcile.c alone. */
    int phase;
    bool running; /* until done_cb */
    bool ending;  /* failed, stopped, or through: what is under way is waited for */
    bool freed;
    int outstanding;                      /* calls of the due queue that have no answer */
    struct timer *turn;                   /* carries on outside of the caller */
    run_rows_cb *answered;                /* of run_ask */
    void (*destroy)(struct reconcile *r); /* frees the rest: freed, and the last answer is there */

    /* Of the phase: for the progress display. */
    int64_t total, done; /* total 0: not known */
    int64_t phase_began_us;

    /* What there was at the beginning. */
    int64_t began_us;       /* monotonic */
    int64_t clock_us;       /* Postgres's time */
    int64_t clock_began_us; /* monotonic: that moment */
    int64_t active_rows, products;
    bool any_expired;

    /* The parts, each written by its own file. */
    struct seen *seen;
    struct role *role;
    struct lookup_question *lookup; /* under way */
    struct recheck *recheck;
    struct rows *rows;
    struct bulk *bulk;
    struct entries *entries;
    struct expired *expired;
    struct stock *stock;

    /* reconcile.c's own. */
    struct timer *waiting, *progress;
    bool stopped;                /* the phase under way has been told */
    struct first_run *first_run; /* asked by this run itself, where nobody else does; or NULL */
    event_cb *begun_cb;          /* or NULL */
    void (*done_cb)(void *arg, const struct reconcile_result *result);
    void *done_arg;
};

/* The phase is over: the next one begins on a turn of its own. */
void run_next(struct reconcile *r);

/* The run ends when what is under way has been answered; the first error counts. */
void run_fail(struct reconcile *r, const char *error);

/* The callback of a reply or timer has nothing more to do. */
bool run_ending(const struct reconcile *r);

/* Sends one statement, with this transaction's settings before it. cb gets the rows; when there are
 * none because of an error the run fails and cb is not called. Nothing may be under way. */
void run_ask(struct reconcile *r, enum statement which, int nparams, const char *const *params,
             run_rows_cb *cb);

/* After each call of the due queue: notes what it returned. */
void run_sent(struct reconcile *r, int rc);

/* First in each callback of the due queue: whether there is an answer to read. Else the callback
 * returns at once, since r may be gone. */
bool run_answered(struct reconcile *r, const char *error) __attribute__((warn_unused_result));

/* Postgres's time now. */
int64_t run_now_us(const struct reconcile *r);

#endif
