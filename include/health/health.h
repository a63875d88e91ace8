/* Whether reservations are released on time, and what an operator wants to know besides: what
 * /readyz, /status, the gauges and --status say.
 *
 * In the daemon all of it is known already when it is asked for: what the claims bring along, what
 * the feed sees at each poll, and now and then a question about Redis's sizes. No probe waits for a
 * server. Each queue has a health of its own; what is said of all of them is made of theirs. */
#ifndef RS_HEALTH_H
#define RS_HEALTH_H

#include "link/pg_link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock_watch;
struct due_found;
struct feed;
struct health;
struct history;
struct json_t;
struct reconcile_result;
struct parts;
struct pause_record;
struct redis_where;
struct stats_histogram;
struct sweeper;

#define HEALTH_RECORDS_MAX 10
#define HEALTH_LOCKED_MAX 10

struct health_server {
    const char *address;
    const char *error; /* why it is not up */
    bool up;
    bool clock_known;
    int64_t clock_offset_us;         /* its clock against this host's */
    const char *host;                /* of Postgres: which of several, as pg_home has it; "" or
                                        NULL: one */
    const struct redis_where *where; /* of Redis: which server it is; NULL: not told */
};

/* Of one queue. Times are Postgres's. Strings are borrowed. */
struct health_report {
    const char *queue;
    bool ready;
    char reason[PG_REASON_SIZE + 128]; /* when not ready */
    bool degraded;                     /* Redis cannot be used: releases go on from Postgres */
    bool stopping;
    bool starting;               /* too early to say, and for too short a time to mind */
    bool sizes_known;            /* pending, inflight, failed */
    bool locked_known;           /* what is locked */
    bool overdue_known;          /* whether anything is; else overdue_unknown says why not */
    const char *degraded_reason; /* Redis's own words; NULL or "" when it is not */
    struct health_server postgres, redis;

    int64_t pending, inflight, failed;
    bool kept_known;
    int64_t kept,
        attention;     /* kept by keep_while; of these, for as long as they may be, or longer */
    size_t locked;     /* locked by others */
    int64_t locked_us; /* for how long the oldest of these has been; 0: none, or not known */
    struct json_t *lockeds; /* the oldest of these, an array; NULL: none */

    int64_t standby_wait_us; /* for how long a release has been seen to wait at its COMMIT for a
                                synchronous standby, so that no other is made; 0: none does */
    const struct pause_record
        *pause;             /* what lasts at present, of several queues' the longest; NULL */
    int64_t pause_ended_us; /* what was due before is overdue from then on; 0: no pause was */
    const char *held; /* why nothing is released: the first-run limit; "" when it is; NULL as "" */
    const char *overdue_unknown; /* the last error then, "" for none */
    int64_t silent_us;           /* for how long it has not been known; 0: that is not known */

    int64_t now_us;           /* 0: not known */
    int64_t overdue_since_us; /* when the oldest that should be released by now expired; 0: none */
    const char *overdue_id;   /* "" for none */
    const char *overdue_product; /* one of its products, "" when not known */
    int64_t next_due_us;         /* the next time to look; 0: none known */
    bool next_due_known;         /* of --status: Postgres was asked too */
    struct json_t *reload;   /* of the daemon: what the last SIGHUP has changed; NULL: nothing */
    struct json_t *failures; /* some records of :failed, an array; NULL: none */
    struct json_t *keeps;    /* ... of :kept, those that want attention first; NULL: none known */

    /* What this process has released, and when; NULL: it is no daemon. */
    const struct stats_histogram *lateness;
    const struct history *history;
    const struct reconcile_result *reconciled; /* the last one here; NULL: none since the start */
};

/* How long the oldest overdue reservation has been so, since the last pause at most; 0: none is, or
 * it is not known. */
int64_t health_overdue_us(const struct health_report *r);

/* Takes what lasts at present (NULL: nothing): then nothing is overdue, and nobody waits for locks,
 * as far as that is known. Before health_judge. */
void health_paused(struct health_report *r, const struct pause_record *pause);

/* Fills in ready and reason, from all the rest. unusable: why the database cannot be used as it is,
 * or "". */
void health_judge(struct health_report *r, const char *unusable);

/* What n queues, one at least, come to: ready when each is, else for the reasons of those that are
 * not; the oldest overdue of all; the sums of what is failed, kept and locked, where all are known.
 */
void health_sum(const struct health_report *reports, int n, struct health_report *sum);

/* The bodies of /status and /readyz, of n queues: JSON, one line, malloc'd; NULL: out of memory. */
char *health_status_json(const struct health_report *reports, int n);
char *health_ready_json(const struct health_report *reports, int n);

struct locked;
/* The oldest of what others have locked, as it is shown, with the times at which that was first
 * met: a new reference. mono_us: now; now_us: Postgres's. NULL: out of memory. */
struct json_t *health_lockeds(const struct locked *locked, int64_t mono_us, int64_t now_us);

/* Some of what a scan of :failed found, as it is shown; a new reference. NULL: out of memory. */
struct json_t *health_failures(const struct due_found *found, size_t n);

/* The same of :kept: those first that want attention. */
struct json_t *health_keeps(const struct due_found *found, size_t n);

struct health_options {
    const char *queue; /* its name */
    struct parts *parts;
    struct sweeper *sweeper;
    struct feed *feed;
    char *const *postgres, *const *redis;             /* addresses to be shown: they may change */
    struct clock_watch *postgres_clock, *redis_clock; /* shared by all queues of the server */
};

/* All of options must outlive it. NULL: out of memory. */
struct health *health_new(const struct health_options *options);

/* The queue must have been closed before: it may have been asked something. NULL is legal. */
void health_free(struct health *h);

/* From now on it is not ready: an orderly stop has begun. */
void health_stopping(struct health *h);

/* For the gauges and /status; result is copied. */
void health_reconciled(struct health *h, const struct reconcile_result *result);

/* The strings and failures of the report are good until the loop turns. */
void health_read(struct health *h, struct health_report *report);

/* The body of /metrics, of n queues, one at least; malloc'd, with its length; NULL: out of memory.
 */
char *health_metrics(struct health *const *queues, int n, size_t *len);

#endif
