/* The engine's source in Redis: what is due is claimed under a lease, released by a lane, and
 * settled. In a backlog batches are claimed ahead, so that a lane need not wait for Redis.
 *
 * What must hold: whatever was claimed is settled, or left to its lease; never settled twice; and
 * never before the answer to its COMMIT, unless it is put back as unknown. */
#ifndef RS_CLAIMS_H
#define RS_CLAIMS_H

#include "base/callback.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct claims;
struct engine;
struct parts;

/* What a claim brought, for whoever decides when the next one is made. */
struct claim_result {
    bool ok;         /* false: Redis gave no answer or an error */
    size_t n;        /* reservations */
    size_t asked;    /* how many it asked for */
    size_t due_left; /* of a full one: how many more are due; else 0 */
    int64_t next_ms; /* the earliest score left in :pending; INT64_MAX: none */
};

struct claims_events {
    void (*on_claimed)(void *arg, const struct claim_result *result);
    event_cb *on_settled; /* a settlement was answered, or given up */
    void *arg;
};

/* Adds itself to the engine, which must outlive it. NULL: out of memory. */
struct claims *claims_new(struct parts *parts, struct engine *engine,
                          const struct claims_events *events);
/* The queue has been closed, and the engine's links freed. NULL is legal. */
void claims_free(struct claims *c);

/* Claims what is due by Postgres's clock, which must be known. on_claimed fires once, never from
 * inside this call, after lanes have taken what it brought; on_settled follows when that has been
 * released. One at a time. Returns 0, or -1 when Redis is down. */
int claims_ask(struct claims *c) __attribute__((warn_unused_result));

/* Claimed batches that no lane has taken yet. */
int claims_waiting(const struct claims *c);

/* The earliest time at which something that settlements without an answer put back is to be looked
 * at again; INT64_MAX: none. They are in Redis before any claim that is made from now on; the
 * answer to one that is under way may not know of them. */
int64_t claims_put_back_ms(const struct claims *c);

/* Nothing in hand, and no answer awaited. */
bool claims_idle(const struct claims *c);

/* Those go back to :pending, due at once. on_settled follows. */
void claims_hand_back(struct claims *c);

/* Orderly stop with no time left: what is being released goes back to :pending as well (best
 * effort: else the lease covers it). on_settled follows when Redis has answered. */
void claims_abandon(struct claims *c);

#endif
