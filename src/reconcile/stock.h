/* The phase of the stock counters: compared, and with --repair-stock repaired. */
#ifndef RS_RECONCILE_STOCK_H
#define RS_RECONCILE_STOCK_H

struct reconcile;
struct stock;

/* Makes r->stock. Returns 0, or -1: out of memory. */
int stock_new(struct reconcile *r) __attribute__((warn_unused_result));
void stock_start(struct reconcile *r); /* run_next or run_fail follows */
void stock_free(struct stock *s);      /* NULL is legal; the link must be gone */

#endif
