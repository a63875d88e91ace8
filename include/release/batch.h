/* Drives a set of reservations to an outcome for each, whatever Postgres says on the way.
 *
 * Releases them in one transaction. When Postgres refuses a row the batch is halved until the
 * refused one stands alone, so that it hurts no other; of a product that is refused again and again
 * the others are not tried (breakers.h). Reservations that were refused before go alone, after the
 * others. When a lock is met inside the release it is halved likewise, within limits (conflicts.h).
 * An error that may be the statement's is a row's if another is released. A product whose
 * counter has been passed by for 250 ms is then tried by itself, waiting up to the lock timeout. */
#ifndef RS_BATCH_H
#define RS_BATCH_H

#include "base/callback.h"
#include "release/release.h"

#include <sys/queue.h>

struct batch;
struct breakers;
struct blockers;
struct locked;
struct loop;
struct outage;
struct commit_notices;
struct counter_waits;
struct stats;

LIST_HEAD(batch_list, batch);

struct batch_options {
    struct loop *loop;
    struct pg_link *link;
    struct statements *statements;
    struct server_clock *clock;          /* Postgres's */
    struct counter_waits *counter_waits; /* shared by the batches of a process */
    struct breakers *breakers;           /* likewise */
    struct locked *locked;               /* likewise */
    struct blockers *blockers;           /* likewise */
    struct pg_watch *pg_watch;           /* told of another server; NULL: nobody is */
    struct outage *fault;                /* of Postgres, or of the statement: likewise */
    struct stats *stats;
    struct batch_list *running; /* those of a process that are under way */
    int64_t lock_timeout_us;
    int64_t bulk_lock_timeout_us; /* the same for the bulk ways, which hold counters meanwhile */
    int64_t statement_timeout_us;
    const bool *careful;                   /* while it is true no way is bulk; NULL: as it comes */
    bool synchronous_commit;               /* the setting */
    struct commit_notices *commit_notices; /* shared by the batches of a process */
};

struct batch *batch_new(const struct batch_options *options); /* NULL: out of memory */
void batch_free(
    struct batch *b); /* must not be running, or its link already freed; NULL is legal */

/* Its releases need not wait for the disk, where the setting does not want it and nothing stands
 * against that (commit_wait.h). Before the first batch_run. */
void batch_allow_no_wait(struct batch *b);

/* Decides the outcome of items[0..n); done(arg) fires once, never from inside this call, when each
 * has one other than OUTCOME_NONE. The items must stay in place until then. Requires ready
 * statements and that no batch is running. backlog: there is a backlog, as there is when they are
 * more than a hundred: RELEASE_BULK first, or RELEASE_BACKLOG where it is known where the rows
 * lie, then carefully what that did not release, a hundred at
 * a time. Counts batches and unknown commits in stats; logs faults of the server (not of rows: the
 * caller knows what becomes of those). */
void batch_run(struct batch *b, struct item *items, size_t n, bool backlog, event_cb *done,
               void *arg);

/* The monotonic moment by which the first of them must have taken its next step; INT64_MAX: none is
 * running. Every statement has a deadline of its own, well before: past this one, an answer has
 * been lost inside this program. */
int64_t batch_deadline_us(const struct batch_list *running);

#endif
