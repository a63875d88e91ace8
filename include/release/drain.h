/* Releases everything that is due, straight from Postgres: a pass over it, then again what others
 * held locked, until that is released too or its time is over. What --once and POST /sweep do, a
 * reconciliation for what has expired, and, one pass at a time, direct mode.
 *
 * A pass reads ids in pages and releases them in batches. What is refused or locked is passed by;
 * it is not tried again in the same pass. What Postgres refused is remembered as long as the object
 * lives, and left alone until its back-off has gone by. What was released is told to Redis, when
 * that is reachable, so that its entries go. */
#ifndef RS_DRAIN_H
#define RS_DRAIN_H

#include "base/units.h"

#include <stdbool.h>
#include <stdint.h>

struct drain;
struct engine;
struct item;
struct parts;
struct pg_link;

#define DRAIN_LOCKED_US (10 * INT64_C(1000000)) /* for so long what is locked is tried again */
#define DRAIN_NOW INT64_MAX                     /* what is due when a pass begins */

struct drain_options {
    struct parts *parts;
    struct pg_link *const *links; /* 1 to 16, used side by side, pages are read over the first */
    int nlinks;
    /* While the sweeper is degraded these lanes are used in place of those links, as long as one
     * of them can release. One that loses its connection ends nothing: the others go on, and the
     * drain ends with an error when they are done. Must outlive the drain. NULL: none. */
    struct engine *lent;
    bool spares_kept; /* what was kept a moment ago is left alone until it is to be looked at again
                       */
    /* NULL, or called for each reservation that has been decided. last: nothing is tried again
     * after this pass. */
    void (*on_item)(void *arg, const struct item *item, bool last);
    void *arg;
};

struct drain_result {
    bool ok;           /* false: Postgres went away or refused a statement; `error` says so */
    const char *error; /* ends with the callback */
    bool lost;         /* ... since a connection was lost, which has a record of its own */
    bool paused;       /* ... since a pause has begun; `error` says so */
    uint64_t released;
    struct units units;
    /* As the last pass met them, so that each counts once. */
    uint64_t refused;  /* by Postgres, in this pass or an earlier one: its time has not come */
    uint64_t deferred; /* not tried, since Postgres refuses their product */
    uint64_t kept;     /* by their queue's keep_while */
    uint64_t locked;   /* by others when they were tried */
};

/* parts and the links must outlive it. NULL: out of memory. */
struct drain *drain_new(const struct drain_options *options);
/* Must not be running, or the links, those of lent lanes too, have been freed before. NULL is
 * legal. */
void drain_free(struct drain *d);

/* Requires ready statements, and that it is not running. due_by_us: what was due at this monotonic
 * moment, or DRAIN_NOW. locked_for_us: for so long from now what was locked is tried again; 0: one
 * pass. done(arg, result) fires once, never from inside this call. */
void drain_run(struct drain *d, int64_t due_by_us, int64_t locked_for_us,
               void (*done)(void *arg, const struct drain_result *result), void *arg);

/* What its passes that are over have come to; ends with the next run. */
const struct drain_result *drain_so_far(const struct drain *d);

/* Ends it after the batches under way; done follows. Nothing when it is not running. */
void drain_stop(struct drain *d);
/* It has begun, and done has not fired yet. */
bool drain_running(const struct drain *d);

/* The oldest that was read and has not been decided yet, or could not be for a fault of the server:
 * its id, and when it expired by the row that was read. While a pass runs, and after one that
 * failed. NULL: there is none. */
const char *drain_oldest(const struct drain *d, int64_t *since_us);

/* Monotonic: when Postgres last answered; 0: never. */
int64_t drain_heard_us(const struct drain *d);

#endif
