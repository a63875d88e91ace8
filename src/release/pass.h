/* One forward pass over everything that has expired, straight from Postgres.
 *
 * Reads ids in pages and releases them in batches, slices of a page. While lanes are at work on the
 * last slices of one, the next is read. What is refused or locked is passed by; it is
 * not tried again in the same pass. What Postgres refused is remembered across passes of the same
 * object and left alone until its back-off has gone by. */
#ifndef RS_PASS_H
#define RS_PASS_H

#include "base/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct item;
struct pass;
struct pg_link;
struct parts;
struct refusals;

struct pass_result {
    bool ok; /* false: Postgres went away or refused a statement; `error` says so */
    const char *error;
    bool lost;   /* ... since a connection was lost, which has a record of its own */
    bool paused; /* ... since a pause has begun; `error` says so */
    uint64_t released;
    struct units units;
    uint64_t failed;   /* refused by Postgres in this pass */
    uint64_t not_yet;  /* refused in an earlier pass, their time has not come */
    uint64_t deferred; /* not tried, since Postgres refuses their product */
    uint64_t kept;     /* by their queue's keep_while */
    uint64_t locked;   /* locked by others when they were tried */
};

/* Counts one that has been decided. */
void pass_result_count(struct pass_result *r, const struct item *item);

struct pass_options {
    struct parts *parts;
    struct pg_link *const *links; /* as drain.h has them: pages are read over the first */
    int nlinks;
    struct engine *shared; /* the engine over these links, which has other sources too; NULL: the
                              pass makes one */
    struct engine *lent;   /* as drain.h has it */
    bool spares_kept;      /* likewise */
};

/* All of that must outlive it. NULL: out of memory. */
struct pass *pass_new(const struct pass_options *options);
void pass_free(struct pass *p); /* must not be running, or its links already freed; NULL is legal */

/* Starts a pass over what has been overdue for at least min_overdue_us. Requires ready
 * statements. done(arg, result) fires once, never from inside this call. */
void pass_run(struct pass *p, int64_t min_overdue_us,
              void (*done)(void *arg, const struct pass_result *result), void *arg);

/* The oldest that was read and has not been decided yet, or could not be for a fault of the server:
 * its id, and when it expired by the row that was read. While a pass runs, and after one that
 * failed. NULL: there is none. */
const char *pass_oldest(const struct pass *p, int64_t *since_us);

/* Monotonic: when Postgres last answered; 0: never. */
int64_t pass_heard_us(const struct pass *p);

/* It has begun, and done has not fired yet. */
bool pass_running(const struct pass *p);

/* Has on_item(arg, item) called for each reservation that a pass has decided. */
void pass_watch(struct pass *p, void (*on_item)(void *arg, const struct item *item), void *arg);

/* What Postgres has refused, which a pass leaves alone: whoever knows of more may add it, or forget
 * all of it, while none runs. */
struct refusals *pass_refusals(struct pass *p);

/* Ends the pass after the batches under way. */
void pass_stop(struct pass *p);

#endif
