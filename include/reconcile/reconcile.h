/* The full reconciliation sweep: compares Postgres's reservations, Redis's entries and the stock
 * counters, and repairs what differs (docs/RECONCILIATION.md). Safe beside running sweepers and a
 * busy API.
 *
 * One object is one run. It has its own connection to Postgres and uses the parts' Redis, which
 * must be up. It holds a leased role in Redis, so that two never run at once, across processes
 * too. It logs its progress every 10 s
 * unless that is shown, and its end: `Reconciliation completed` or
 * `Reconciliation failed`. */
#ifndef RS_RECONCILE_H
#define RS_RECONCILE_H

#include "base/callback.h"
#include "reconcile/findings.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct bar;
struct reconcile;
struct parts;

struct reconcile_options {
    bool dry_run;
    bool repair_stock;
    int64_t max_repairs;         /* more drifted counters than this are reported, not repaired */
    const char *stock_elsewhere; /* a queue with which the counters have just been compared, all
                                    that share them added up (queue_compared_alike); NULL: none */
    FILE *report;                /* one JSON line for each finding; not closed; NULL: none */
    FILE *terminal;              /* a closing table; NULL: none */
    bool shown;                  /* somebody looks at reconcile_progress: no records of it */
};

/* In a dry run the figures say what would have been done. */
struct reconcile_result {
    bool ok;                     /* it came to its end; else `error` says why not */
    const char *error;           /* one sentence, "" when ok; ends with the callback */
    bool taken;                  /* !ok: another reconciliation is running, which `error` names */
    int64_t counts[COUNTS];      /* by enum reconcile_count */
    const char *stock_unchecked; /* why counters were not compared; static storage; NULL: they were,
                                    or there are none, or: */
    const char *stock_elsewhere; /* the queue with which these counters were compared; NULL */
    bool stock_uncounted;        /* one of these, so that their figures are none */
    bool dry_run;
    int64_t finished_us; /* the host's wall clock */
    int64_t duration_ms;
};

/* Whether a figure says anything: those of counters that were not compared do not. */
bool reconcile_counted(const struct reconcile_result *result, enum reconcile_count count);

/* parts must outlive it. NULL: out of memory or file descriptors. */
struct reconcile *reconcile_new(struct parts *parts, const struct reconcile_options *options);

/* Ends a run that is under way without calling back; its role is left to its lease (6 s). Not
 * allowed inside callbacks of the parts' links, nor inside done (use a timer). NULL is legal. */
void reconcile_free(struct reconcile *r);

/* Once. begun(arg) fires when no other reconciliation is running and Postgres can be used, within
 * 11 s of this call, or not at all: then done follows within that time. NULL is legal. done(arg,
 * result) fires once. Neither fires from inside this call. */
void reconcile_run(struct reconcile *r, event_cb *begun,
                   void (*done)(void *arg, const struct reconcile_result *result), void *arg);

/* From reconcile_run until done has been called. */
bool reconcile_running(const struct reconcile *r);

/* How far it has come: fills in all but queue and began_us. */
void reconcile_progress(const struct reconcile *r, struct bar *bar);

/* The record `Reconciliation completed`: of one run, or the sum of several queues'. */
void reconcile_log_completed(const struct reconcile_result *result);

/* Ends the run after the step in hand and gives the role up; done follows with !ok. */
void reconcile_stop(struct reconcile *r);

#endif
