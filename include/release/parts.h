/* What the parts of one sweeper share. */
#ifndef RS_PARTS_H
#define RS_PARTS_H

#include "base/clock.h"
#include "base/few.h"
#include "base/outage.h"
#include "link/pg_link.h"
#include "queue/due_queue.h"
#include "release/batch.h"
#include "release/stats.h"

struct breakers;
struct blockers;
struct config;
struct locked;
struct loop;
struct pg_watch;
struct redis_link;
struct refusal_log;
struct redis_use;
struct counter_waits;
struct statements;

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
    struct blockers *blockers;
    struct batch_list batches;       /* those that are running */
    struct server_clock pg_clock;    /* decides */
    struct server_clock redis_clock; /* for display only */
    struct stats stats;

    /* What Redis said last of its sizes, and when (monotonic; 0: it has not been asked). */
    struct due_sizes sizes;
    int64_t sizes_us;
    bool backlog; /* the last claim was full: there is more */
    /* Monotonic: since when Postgres has released nothing, by its own fault (a grant that was
     * taken away, a full disk); 0: it works. Its reservations are put back a little ahead, where
     * nothing else tells them from those that are locked. */
    int64_t fault_since_us;
    struct few invalid_said; /* entries that are no ids */
    struct few odd_said;     /* ids that are no UTF-8 */
    struct few lost_said;    /* leases that had passed */
    struct outage fault;     /* since when Postgres cannot release: for the log */
    struct outage unusable;  /* since when the database cannot be used as it is: for the log */
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

/* Counts a decided item: released, units, lateness, discarded, failed; logs what an operator must
 * see of it (a refused reservation, a product without a counter). commit_us: Postgres's time when
 * the answer came. */
struct item;
void account_item(struct parts *s, const struct item *item, int64_t commit_us);

/* Notes from a batch's items whether Postgres works. */
void account_batch(struct parts *s, const struct item *items, size_t n);

/* The record of :failed for a refused item, or one that is held with its product: JSON, malloc'd;
 * NULL when memory ran out. now_ms and retry_ms are Postgres's time. item->attempts counts this
 * refusal already, and is 0 for one that was never tried. */
char *failed_record_make(const struct item *item, int64_t now_ms, int64_t retry_ms);

/* Takes attempts and first_failed_ms from a record of :failed. What cannot be read counts as one
 * attempt. */
void failed_record_read(struct item *item, const char *json, size_t len);

#endif
