/* The phases from Redis to Postgres: each starts on an idle run, and run_next or run_fail follows.
 */
#ifndef RS_RECONCILE_ENTRIES_H
#define RS_RECONCILE_ENTRIES_H

struct entries;
struct reconcile;

/* Makes r->entries. Returns 0, or -1: out of memory. */
int entries_new(struct reconcile *r) __attribute__((warn_unused_result));
void entries_free(struct entries *e); /* NULL is legal; Redis must owe no answer */

void entries_start_pending(struct reconcile *r); /* stale entries; after rows_start */
void entries_start_claims(struct reconcile *r);  /* leases that have ended */
void entries_start_failed(struct reconcile *r);  /* records of what was refused */

#endif
