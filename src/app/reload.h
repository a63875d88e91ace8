/* SIGHUP: the queues file is read anew, and what it says now is served.
 *
 * The new file is proved first: it is read, and each queue in it that is new or changed is proved
 * against its database (proof.h). If it does not hold, the queues stay as they are. If it does,
 * queues that are gone or changed stop in order, then what takes their place begins; the others go
 * on all the while. A queue has changed when anything of it has but its lines: so there is one way
 * for all changes, and no release meets two versions of its queue. */
#ifndef RS_RELOAD_H
#define RS_RELOAD_H

#include "base/callback.h"

#include <stdbool.h>

struct config;
struct http_routes;
struct queue_run;
struct queue_runs;
struct redis_outage;
struct reload;
struct reloaded;
struct servers;

struct reload_options {
    struct servers *servers;
    struct redis_outage *outage;
    const struct config *config; /* as it was at the start */
    struct queue_runs *queues;   /* that are served: changed in place */
    struct http_routes **http;   /* NULL: none is wanted */
    /* A queue without a successor has stopped, and is about to be freed. */
    void (*on_gone)(void *arg, struct queue_run *q);
    void *arg;
};

/* All of options must outlive it. NULL: out of memory. */
struct reload *reload_new(const struct reload_options *options);

/* Reads the secrets' files, and the queues file; while one is under way, that once more after it.
 * What became of it is in the log, as one record. */
void reload_begin(struct reload *r);

/* What they have changed; it stays the reload's. */
const struct reloaded *reload_outcome(const struct reload *r);

/* The daemon stops: what has not been changed stays. done(arg) fires once, on a later turn, when
 * the queues that were stopping for a change have stopped; the others are the caller's to stop. */
void reload_stop(struct reload *r, event_cb *done, void *arg);

/* Whether this queue is stopping for a change. */
bool reload_stops(const struct reload *r, const struct queue_run *q);

/* Frees what was to be served next: before the queues that are served. NULL is legal. */
void reload_close(struct reload *r);

/* After that. The queues that are served must have been freed: their settings end with it. NULL is
 * legal. */
void reload_free(struct reload *r);

#endif
