/* What a reconciliation asks of the due queue (due_queue.h): lookups without claims, repairs of
 * what still stands as it was seen, and the mark that shows whether Redis has lost its data.
 *
 * Each call is one script or command, of at most 1,000 ids; strings are copied before it returns.
 * Returns 0, or -1 when Redis is down or memory ran out: nothing was sent and cb will not fire. In
 * a callback with an error there is nothing else; what it is given ends with it. */
#ifndef RS_REPAIR_H
#define RS_REPAIR_H

#include "queue/due_queue.h"

#define DUE_NOWHERE INT64_MIN

/* n is as many as were asked for, or as were found. */
typedef void due_scores_cb(void *arg, const int64_t *scores_ms, size_t n, const char *error);
typedef void due_indexes_cb(void *arg, const size_t *indexes, size_t n, const char *error);

/* Scores in :pending, in milliseconds, DUE_NOWHERE for what is not there. at_ms is not used. */
int due_queue_scores(struct due_queue *q, const struct due_entry *entries, size_t n,
                     due_scores_cb *cb, void *arg) __attribute__((warn_unused_result));

/* Which entries are in none of :pending, :inflight, :failed and :kept: their indexes, rising. at_ms
 * is not used. */
int due_queue_absent(struct due_queue *q, const struct due_entry *entries, size_t n,
                     due_indexes_cb *cb, void *arg) __attribute__((warn_unused_result));

/* Adds entries to :pending, at at_ms, unless they are there. */
int due_queue_add(struct due_queue *q, const struct due_entry *entries, size_t n, due_error_cb *cb,
                  void *arg) __attribute__((warn_unused_result));

/* A string of Redis's; text is NULL when there is none. */
struct due_text {
    const char *text; /* terminated; may be any bytes */
    size_t len;
};

struct due_state {
    struct due_text pending, inflight; /* scores */
    struct due_text record;            /* in :failed */
    struct due_text kept;              /* the record in :kept */
};

typedef void due_states_cb(void *arg, const struct due_state *states, size_t n, const char *error);

/* What Redis has of each entry. at_ms is not used. */
int due_queue_lookup(struct due_queue *q, const struct due_entry *entries, size_t n,
                     due_states_cb *cb, void *arg) __attribute__((warn_unused_result));

struct due_repair {
    const char *what; /* lua/repair.lua's word: "add", "move", "remove", ... */
    const char *id;
    size_t id_len;
    struct due_text seen; /* what must stand there still; add: not used */
    int64_t at_ms;        /* of the entry afterwards; remove, unclaim, forget: not used */
};

typedef void due_repaired_cb(void *arg, const bool *repaired, size_t n, const char *error);

/* repaired[i]: it stood as it was seen. */
int due_queue_repair(struct due_queue *q, const struct due_repair *repairs, size_t n,
                     due_repaired_cb *cb, void *arg) __attribute__((warn_unused_result));

struct due_found {
    struct due_text id;
    struct due_text value; /* score or record */
    bool odd;              /* id is the beginning of a member of :leases that is no batch */
};

typedef void due_found_cb(void *arg, const struct due_found *found, size_t n, const char *error);
typedef void due_walked_cb(void *arg, const char *cursor, const struct due_found *found, size_t n,
                           const char *error);

/* The first entries of :pending, up to DUE_QUEUE_SCRIPT_MAX, in the order of their scores, that
 * score `from` or later; with an id, those that follow it, which scored that. What is there all the
 * time is met when each call begins where the last one ended. */
int due_queue_pending(struct due_queue *q, const struct due_text *from, const struct due_text *id,
                      due_found_cb *cb, void *arg) __attribute__((warn_unused_result));

enum due_place { DUE_IN_INFLIGHT, DUE_IN_FAILED, DUE_IN_KEPT };

/* One step through a key: about 1,000 of what is there. Begins with cursor "0", goes on with the
 * one that cb is given, ends when that is "0". What is there all the time is met at least once,
 * perhaps more often. */
int due_queue_walk(struct due_queue *q, enum due_place place, const char *cursor, due_walked_cb *cb,
                   void *arg) __attribute__((warn_unused_result));

/* The same through :leases, a few batches a step: the ids of all of them, each with the end of its
 * lease, and what is `odd`, which is removed if that is asked for. */
int due_queue_walk_leases(struct due_queue *q, const char *cursor, bool remove_odd,
                          due_walked_cb *cb, void *arg) __attribute__((warn_unused_result));

/* The same through :kept, about 500 a step: what has neither an entry nor a claim is entered in
 * :pending at now_ms, and so is what has a later entry than latest_ms, unless it is extended or was
 * refused. Nothing is found. */
int due_queue_retrieve(struct due_queue *q, const char *cursor, int64_t now_ms, int64_t latest_ms,
                       due_walked_cb *cb, void *arg) __attribute__((warn_unused_result));

#endif
