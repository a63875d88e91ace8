/* POST /reconcile: a reconciliation of each of the queues that were asked for, one after the other.
 */
#ifndef RS_RECONCILE_ALL_H
#define RS_RECONCILE_ALL_H

#include "base/callback.h"
#include "reconcile/reconcile.h"

struct loop;
struct queue_run;
struct reconcile_all;

struct reconcile_all_options {
    struct loop *loop;
    struct queue_run *const *queues; /* copied */
    int n;                           /* 1 at least */
    struct reconcile_options each;
    /* The first one has begun. */
    event_cb *begun;
    /* All have ended, the results are in the log and in the queues' health. first: of the first
     * one, for whoever still waits for its beginning; it ends with the call. */
    void (*done)(void *arg, const struct reconcile_result *first);
    void *arg;
};

/* Starts at once; neither callback fires from inside this call. The queues must outlive it. NULL:
 * out of memory or file descriptors. */
struct reconcile_all *reconcile_all_new(const struct reconcile_all_options *options);

/* Ends after the step in hand; done follows. */
void reconcile_all_stop(struct reconcile_all *a);

/* Without calling back; not allowed inside the callbacks. NULL is legal. */
void reconcile_all_free(struct reconcile_all *a);

#endif
