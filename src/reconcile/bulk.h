/* Looking again at whole pages of which much is missing. */
#ifndef RS_RECONCILE_BULK_H
#define RS_RECONCILE_BULK_H

#include <stdbool.h>

struct bulk;
struct page_rows;
struct reconcile;

/* Makes r->bulk. Returns 0, or -1: out of memory. changed(r) fires after each answer, when whoever
 * feeds it should look what can go on, bulk_poke included. */
int bulk_new(struct reconcile *r, void (*changed)(struct reconcile *r))
    __attribute__((warn_unused_result));
void bulk_free(struct bulk *b); /* NULL is legal; Redis must owe no answer */

/* Takes a page over, to look at it again from its ripe_us on. Pages come in the order of those. */
void bulk_add(struct reconcile *r, struct page_rows *p);

bool bulk_full(const struct reconcile *r); /* its pages take as much memory as they may */
bool bulk_empty(const struct reconcile *r);

/* It waits for the connection to Postgres, or uses it: nobody else may begin to. */
bool bulk_wants_postgres(const struct reconcile *r);

/* Has whatever can go on go on. */
void bulk_poke(struct reconcile *r);

#endif
