/* What the parts of one sweeper share. */
#ifndef RS_SWEEP_H
#define RS_SWEEP_H

#include "clock.h"
#include "stats.h"

struct config;
struct due_queue;
struct loop;
struct redis_link;
struct skips;
struct statements;

struct sweep {
    struct loop *loop;
    const struct config *config;
    struct redis_link *redis; /* NULL: without Redis */
    struct due_queue *queue;  /* NULL: without Redis */
    struct statements *statements;
    struct skips *skips;
    struct server_clock pg_clock;    /* decides */
    struct server_clock redis_clock; /* for display only */
    struct stats stats;
};

/* A release's statement_timeout: well below the lease, so that a batch ends, one way or the other,
 * while its reservations are still ours. */
int64_t sweep_statement_timeout_us(const struct config *config);

/* Counts a decided item: released, units, lateness, discarded, failed; logs what an operator must
 * see of it (a refused reservation, a product without a counter). commit_us: Postgres's time when
 * the answer came. */
struct item;
void sweep_account(struct sweep *s, const struct item *item, int64_t commit_us);

/* The record of :failed for a refused item: JSON, malloc'd; NULL when memory ran out. now_ms and
 * retry_ms are Postgres's time. item->attempts counts this refusal already. */
char *sweep_failed_record(const struct item *item, int64_t now_ms, int64_t retry_ms);

/* Takes attempts and first_failed_ms from a record of :failed. What cannot be read counts as one
 * attempt. */
void sweep_read_failed_record(struct item *item, const char *json, size_t len);

#endif
