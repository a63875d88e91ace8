/* A worker: one Postgres connection that takes one batch at a time from claim to settlement. */
#ifndef RS_WORKER_H
#define RS_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sweep;
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
    /* Settled (or given up): the worker is idle again. put_back_ms is the earliest time at which
     * one of its reservations is to be looked at again; INT64_MAX: none. */
    void (*on_idle)(void *arg, struct worker *w, int64_t put_back_ms);
    void (*on_link)(void *arg, struct worker *w); /* the link came up (and can work) or went down */
    void *arg;
};

struct worker *worker_new(struct sweep *sweep, const struct worker_events *events, int number);
void worker_free(struct worker *w); /* NULL is legal */
void worker_start(struct worker *w);

bool worker_idle(const struct worker *w); /* no batch in hand */
bool worker_ready(
    const struct worker *w); /* idle, connected, statements known, not resting after a fault */
bool worker_link_up(const struct worker *w);
const char *worker_link_error(const struct worker *w);
uint64_t worker_reconnects(const struct worker *w);

/* Claims what is due by Postgres's clock and takes it through. on_claimed, then on_idle, each
 * fire once, never from inside this call. Requires worker_ready. Returns 0, or -1 when Redis is
 * down. */
int worker_claim(struct worker *w) __attribute__((warn_unused_result));

/* Orderly stop with no time left: what has no answer yet goes back to :pending (best effort: else
 * the lease covers it). on_idle follows when Redis has answered. */
void worker_abandon(struct worker *w);

#endif
