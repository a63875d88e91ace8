/* The phase from Postgres to Redis: what is missing there, or too late. */
#ifndef RS_RECONCILE_ROWS_H
#define RS_RECONCILE_ROWS_H

struct reconcile;
struct rows;

/* Makes r->rows, and r->bulk. Returns 0, or -1: out of memory. */
int rows_new(struct reconcile *r) __attribute__((warn_unused_result));
void rows_start(struct reconcile *r); /* run_next or run_fail follows */
void rows_free(struct rows *s);       /* NULL is legal; Redis must owe no answer */

#endif
