/* What the parts of one sweeper share. */
#ifndef RS_PARTS_H
#define RS_PARTS_H

#include "base/clock.h"
#include "base/outage.h"
#include "link/pg_link.h"
#include "queue/due_queue.h"
#include "release/account.h"
#include "release/batch.h"
#include "release/commit_wait.h"
#include "release/stats.h"

struct announcer;
struct breakers;
struct blockers;
struct config;
struct first_run;
struct keeps;
struct locked;
struct loop;
struct pause;
struct pg_watch;
struct redis_link;
struct refusal_log;
struct redis_use;
struct counter_waits;
struct statements;

#define PARTS_DATABASE_SIZE 120

struct parts {
    struct loop *loop;
    const struct config *config;
    struct pg_source postgres;   /* for every link to it */
    struct redis_link *redis;    /* NULL: without Redis */
    struct due_queue *queue;     /* NULL: without Redis */
    struct redis_use *redis_use; /* NULL: not a daemon; what is connected is used */
    struct pg_watch *pg_watch;   /* NULL: nobody watches */
    struct statements *statements;
    struct counter_waits *counter_waits;
    struct breakers *breakers;
    struct refusal_log *refusal_log; /* what is said of single reservations */
    struct locked *locked;
    struct keeps *keeps;
    struct blockers *blockers;
    struct announcer *announcer;        /* NULL: the queue has no `notify` */
    struct first_run *first_run;        /* whether releases may begin; NULL: nobody asks */
    struct pause *pause;                /* whether they may go on; likewise */
    char database[PARTS_DATABASE_SIZE]; /* the database's name, and its cluster's; "": not known */
    struct batch_list batches;          /* those that are running */
    struct server_clock pg_clock;       /* decides */
    struct server_clock redis_clock;    /* for display only */
    struct stats stats;

    struct account account;
    struct commit_notices commit_notices;
    struct due_sizes sizes; /* what Redis said last: parts_note_sizes */
    int64_t sizes_us;       /* ... and when it said all of them (monotonic; 0: never) */
    bool backlog;           /* the last claim was full, there is more: the sweeper's word */
    bool careful;           /* what a pause has left is released the careful way: pause.h */
    struct outage fault;    /* since when Postgres cannot release: the batches' word, for the log */
    struct outage unusable; /* since when the database cannot be used as it is: for the log */
};

/* Redis may be asked: connected, and not known to refuse. */
bool parts_redis_usable(const struct parts *s);

/* Releases go on without Redis: it is out of reach, or refuses. */
bool parts_degraded(const struct parts *s);

/* A release's statement_timeout: well below the lease, so that a batch ends, one way or the other,
 * while its reservations are still ours. */
int64_t parts_statement_timeout_us(const struct config *config);

/* A batch over this connection, with the settings of the sweeper; NULL: out of memory. */
struct batch *parts_batch_new(struct parts *s, struct pg_link *link);

/* After each reading of the catalog by the daemon, and about every half second while there is a
 * problem: says in the log that the database cannot be used as it is, and that it can again. */
void parts_note_catalog(struct parts *s);

/* Takes what Redis says of its sizes, and its clock. Monotonic: when it was asked, and answered. */
void parts_note_sizes(struct parts *s, const struct due_sizes *sizes, int64_t sent_us,
                      int64_t received_us);

#endif
