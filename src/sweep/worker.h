/* A worker: one Postgres connection that takes one batch at a time from claim to settlement, and
 * in a backlog holds the next one ready. */
#ifndef RS_WORKER_H
#define RS_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parts;
struct worker;

/* What a claim brought, for whoever decides when the next one is made. */
struct worker_claim_result {
    bool ok;   /* false: Redis gave no answer or an error */
    bool full; /* as many as were asked for: there may be more */
    size_t n;
    int64_t next_ms; /* the earliest score left in :pending; INT64_MAX: none */
};

struct worker_events {
    void (*on_claimed)(void *arg, struct worker *w, const struct worker_claim_result *result);
    /* A batch is done, and nothing was claimed ahead. */
    void (*on_free)(void *arg, struct worker *w);
    /* A settlement was answered, or given up. put_back_ms is the earliest time at which one of the
     * reservations is to be looked at again; INT64_MAX: none. */
    void (*on_settled)(void *arg, struct worker *w, int64_t put_back_ms);
    void (*on_link)(void *arg, struct worker *w); /* the link came up (and can work) or went down */
    void *arg;
};

struct worker *worker_new(struct parts *parts, const struct worker_events *events, int number);
void worker_free(struct worker *w); /* NULL is legal */
void worker_start(struct worker *w);

bool worker_idle(const struct worker *w); /* nothing in hand, no answer awaited */

/* Whether it may claim: connected, statements known, not resting after a fault, and free. */
bool worker_ready(const struct worker *w);
/* The same, but busy with a batch: what it claims now waits for the end of that. For a backlog, so
 * that Postgres need not wait for Redis. */
bool worker_ready_ahead(const struct worker *w);

/* Leaves a Postgres that is no longer the one to be used, if there is nothing in hand. */
void worker_follow_postgres(struct worker *w);
bool worker_link_up(const struct worker *w);
const char *worker_link_error(const struct worker *w);
uint64_t worker_reconnects(const struct worker *w);

/* Claims what is due by Postgres's clock and takes it through. on_claimed fires once, never from
 * inside this call; when it brought something, on_settled and on_free follow. Requires worker_ready
 * or worker_ready_ahead. Returns 0, or -1 when Redis is down. */
int worker_claim(struct worker *w) __attribute__((warn_unused_result));

/* What was claimed ahead goes back to :pending, at its old time. on_settled follows. */
void worker_hand_back(struct worker *w);

/* Orderly stop with no time left: what has no answer yet goes back to :pending as well (best
 * effort: else the lease covers it). on_settled follows when Redis has answered. */
void worker_abandon(struct worker *w);

#endif
