/* The queue of what is due, in Redis: the Lua scripts as functions.
 *
 * Keys ({prefix} is one hash tag): {prefix}:pending, :leases, :inflight, :failed, :kept
 * (docs/INTEGRATION.md), :attention (those of :kept beyond at_most, by when they were due),
 * :feeder. Times are Postgres's, in milliseconds since the epoch. Redis's own clock decides
 * nothing: the caller says what time it is, so that a step of Redis's clock has no effect. A script
 * handles at most 1,000 ids; more are sent as several scripts, pipelined.
 *
 * A claim's script makes one batch of what it claims: a member of :leases, whose score is the end
 * of its lease. No two have the same end, so a batch is ours while there is one with the lease_ms
 * that the claim came back with. Every settlement checks that. */
#ifndef RS_DUE_QUEUE_H
#define RS_DUE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_link;
struct due_queue;
struct due_texts; /* the strings of a claim */

#define DUE_QUEUE_SCRIPT_MAX 1000 /* ids in one script */
/* ... where it is told four words of each: ElastiCache Serverless allows 3,999 in a request. */
#define DUE_QUEUE_FOURS_MAX 900
#define DUE_QUEUE_CLAIM_MAX 5000 /* ids in one claim */
#define DUE_QUEUE_LEASES_MAX (DUE_QUEUE_CLAIM_MAX / DUE_QUEUE_SCRIPT_MAX)
#define DUE_QUEUE_FAILED_MAX 10000 /* records in :failed; Postgres has the rest */
#define DUE_QUEUE_KEPT_MAX 100000  /* records in :kept; the rest is looked at again without one */

/* Each callback fires once, never from inside the call that it is given to. error is NULL, or one
 * sentence that ends with the call: then there is nothing else. */
typedef void due_error_cb(void *arg, const char *error);
typedef void due_count_cb(void *arg, size_t n, const char *error);

/* A claimed id. */
struct due_claim {
    const char *id;
    size_t id_len;      /* 0 to anything: Redis is not trusted; may be any bytes */
    bool taken_over;    /* from a lease that had ended */
    const char *failed; /* the JSON of :failed, or NULL */
    size_t failed_len;
    const char *kept; /* that of :kept, or NULL */
    size_t kept_len;
};

/* Sizes and times that every claim brings along. */
struct due_sizes {
    int64_t pending, failed; /* after the claim */
    int64_t kept, attention; /* of :kept; of these, beyond at_most */
    int64_t inflight;        /* ids that anybody has claimed; DUE_NOT_COUNTED: there are others of
                                which a claim only knows that */
    int64_t next_ms;         /* the earliest score left in :pending, INT64_MAX when none */
    int64_t redis_us;        /* Redis's TIME, microseconds */
};

#define DUE_NOT_COUNTED INT64_C(-1)

/* What one script of a claim took: the token of its settlement, and how many ids. */
struct due_lease {
    int64_t lease_ms; /* when the lease ends */
    size_t n;         /* 1 to DUE_QUEUE_SCRIPT_MAX */
};

/* claims and leases end with the callback. So do the strings of the claims, unless it keeps them,
 * by setting texts to NULL and calling due_texts_free later. */
struct due_claimed {
    const struct due_claim *claims; /* those of the first lease, of the second, ... */
    size_t n;
    struct due_lease leases[DUE_QUEUE_LEASES_MAX];
    size_t n_leases;
    size_t asked;    /* the limit that was asked for */
    size_t due_left; /* of a claim that is full: about how many more are due; else 0 */
    size_t odd;      /* members of :leases that were no batch, and were removed */
    struct due_texts *texts;
    struct due_sizes sizes;
    int64_t sent_us, received_us; /* monotonic */
};

typedef void due_claimed_cb(void *arg, struct due_claimed *claimed, const char *error);
typedef void due_sizes_cb(void *arg, const struct due_sizes *sizes, const char *error);

/* prefix is copied. NULL when memory ran out. */
struct due_queue *due_queue_new(struct redis_link *link, const char *prefix);

/* cb(arg, reason) fires when Redis, connected, refuses any call of the queue, or answers nonsense
 * to one of this header: before that call's own callback. reason names the command, and where it
 * stands. */
void due_queue_on_refused(struct due_queue *q, void (*cb)(void *arg, const char *reason),
                          void *arg);

/* cb(arg, us) fires for each request that Redis answers, with an error too, before the call's own
 * callback: us microseconds after it was sent. It makes no call of the queue. */
void due_queue_on_answered(struct due_queue *q, void (*cb)(void *arg, int64_t us), void *arg);

/* Asks Redis for all that the sweeper needs of it: each command of each script, over keys of its
 * own ({prefix}:probe:...) that are gone again afterwards; and the types of the keys in use. cb:
 * error is NULL when nothing was refused, else the first refusal, or that the link was lost. */
int due_queue_probe(struct due_queue *q, due_error_cb *cb, void *arg)
    __attribute__((warn_unused_result));

/* Callbacks under way are called with an error first. Allowed inside a callback of this queue,
 * before or after the link is freed; NULL is legal. */
void due_queue_free(struct due_queue *q);

/* Claims up to `limit` (1 to DUE_QUEUE_CLAIM_MAX) ids whose score in :pending is at most now_ms,
 * under leases that end at lease_ms or a few milliseconds later. Each script first takes over one
 * batch whose lease ended by now_ms; what of that is beyond the limit becomes due for others. With
 * several scripts the answers are joined into one. Several claims may be under way (one for each
 * worker).
 * cb: `claimed` is NULL when there is no answer or an error (`error` says which): what was claimed,
 * if anything, stays leased. Of several scripts some may have answered before the connection broke:
 * what they brought is given, with error == NULL, and settling it will fail the usual way. Returns
 * 0, or -1 when Redis is down: nothing was sent and cb will not fire. */
int due_queue_claim(struct due_queue *q, int64_t now_ms, int64_t lease_ms, int limit,
                    due_claimed_cb *cb, void *arg) __attribute__((warn_unused_result));

/* Of a claim whose callback has kept them; NULL is legal. */
void due_texts_free(struct due_texts *texts);

enum due_verdict {
    DUE_FORGET,   /* its records go; an entry that appeared in :pending meanwhile stays */
    DUE_PUT_BACK, /* into :pending at at_ms, or what stands there if earlier; its records stay
                   */
    DUE_HEALED_PUT_BACK, /* the same, and its records are removed (it was extended) */
    DUE_FAILED,   /* into :pending at at_ms with `record` in :failed; past DUE_QUEUE_FAILED_MAX
                     records a new one is not kept: the id is forgotten, and the scan finds it
                     again */
    DUE_DEFERRED, /* the same; a DUE_FAILED one has a tenth more room */
    DUE_KEPT,     /* into :pending at at_ms with `record` in :kept, if there is room; its :failed
                     record is removed */
};

struct due_settlement {
    const char *id;
    size_t id_len;
    enum due_verdict verdict;
    bool recorded;      /* FORGET: the claim brought a record */
    int64_t at_ms;      /* all but FORGET */
    const char *record; /* FAILED, DEFERRED, KEPT: JSON */
    int64_t since_ms;   /* KEPT, when it wants attention: since when it is kept; else 0 */
};

typedef void due_settled_cb(void *arg, size_t n, size_t lost, const char *error);

/* Settles what was claimed, in the order in which it was claimed: leases as the claim brought them
 * (1 to DUE_QUEUE_LEASES_MAX), an item for each id; those of each lease only while it is still ours
 * (see above). cb is told the number of items; `lost` counts those whose lease had passed to
 * somebody else. cb with error != NULL: no answer or an error; the lease covers what was not
 * settled. What is given is copied before the function returns. */
int due_queue_settle(struct due_queue *q, const struct due_lease *leases, size_t n_leases,
                     const struct due_settlement *items, due_settled_cb *cb, void *arg)
    __attribute__((warn_unused_result));

struct due_entry {
    const char *id;
    size_t id_len;
    int64_t at_ms;
};

/* Mirrors: into :pending at at_ms unless it stands there earlier. Of those up to script_until_ms,
 * those that are claimed are not touched, nor are those with a :failed record, unless :pending lost
 * them. Later ones are entered whatever else Redis has of them, by a plain ZADD. n: 0 to any; sent
 * a thousand at a time, one call after the other (the next when the last has answered, so that
 * Redis's other users get their turn), which is cheapest in the order of at_ms. The strings must
 * live until cb. cb: n = entries that are new or became earlier; with an error, those of the calls
 * before. */
int due_queue_schedule(struct due_queue *q, const struct due_entry *entries, size_t n,
                       int64_t script_until_ms, due_count_cb *cb, void *arg)
    __attribute__((warn_unused_result));

/* Removes ids that are not active any more from :pending, :inflight, :failed and :kept: for
 * releases made without a claim (--once, direct mode). Batches with them are left to their leases.
 * at_ms is not used. cb: n = entries that were removed from :pending and :inflight. */
int due_queue_drop(struct due_queue *q, const struct due_entry *entries, size_t n, due_count_cb *cb,
                   void *arg) __attribute__((warn_unused_result));

/* Records what is kept, without a claim (--once, direct mode): verdict is not used. n: 0 to any;
 * the strings must live until cb. cb: n = entries that are new or became earlier. */
int due_queue_keep(struct due_queue *q, const struct due_settlement *items, size_t n,
                   due_count_cb *cb, void *arg) __attribute__((warn_unused_result));

/* Sizes without claiming; all are counted. */
int due_queue_sizes(struct due_queue *q, due_sizes_cb *cb, void *arg)
    __attribute__((warn_unused_result));

typedef void due_role_cb(void *arg, bool ours, int64_t remaining_ms, const char *owner,
                         const char *error);

/* A leased role: {prefix}:feeder or another key of the sweeper's own. Takes it when free, renews it
 * when `name` has it, for ttl_ms. cb: ours = we have it; else remaining_ms says how long the
 * other's lease still runs and `owner` who it is. */
int due_queue_role(struct due_queue *q, const char *role, const char *name, int64_t ttl_ms,
                   due_role_cb *cb, void *arg) __attribute__((warn_unused_result));

/* Who has a role, without asking for it: owner is "" when nobody has. */
int due_queue_role_owner(struct due_queue *q, const char *role, due_role_cb *cb, void *arg)
    __attribute__((warn_unused_result));

/* A name for a holder of roles: host:pid, and what tells two of one process apart. */
#define DUE_HOLDER_SIZE 160
void due_holder_name(char name[DUE_HOLDER_SIZE]);

/* Gives a role up if we have it; no answer is awaited (cb may be NULL). */
int due_queue_role_release(struct due_queue *q, const char *role, const char *name,
                           due_error_cb *cb, void *arg) __attribute__((warn_unused_result));

/* text: "" when nothing was accepted. */
typedef void due_accepted_cb(void *arg, const char *text, const char *error);

/* {prefix}:accepted, a text that outlives the sweeper: what a first run was accepted with. Reads
 * it; writes it. Returns as due_queue_sizes. */
int due_queue_accepted(struct due_queue *q, due_accepted_cb *cb, void *arg)
    __attribute__((warn_unused_result));
int due_queue_accept(struct due_queue *q, const char *text, due_error_cb *cb, void *arg)
    __attribute__((warn_unused_result));

#endif
