/* The phase of what has expired and is still active: released, or in a dry run counted. */
#ifndef RS_RECONCILE_EXPIRED_H
#define RS_RECONCILE_EXPIRED_H

#include <stdbool.h>

struct expired;
struct reconcile;

/* Makes r->expired. Returns 0, or -1: out of memory. */
int expired_new(struct reconcile *r) __attribute__((warn_unused_result));
void expired_start(struct reconcile *r); /* run_next or run_fail follows */

/* The run is ending: what is under way ends after the batch in hand. */
void expired_stop(struct reconcile *r);
/* A batch or a question is under way. */
bool expired_busy(const struct reconcile *r);
void expired_free(struct expired *x); /* NULL is legal */

#endif
