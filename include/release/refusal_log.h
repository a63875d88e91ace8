/* The records that are about single reservations, which could be floods: those that Postgres
 * refuses, the products that it refuses, and what was released without a counter. The first hundred
 * of each minute, then one summary of the rest (tally.h). Each attempt that is refused counts: one
 * that is refused again and again is named again, ever more seldom, as it is tried. */
#ifndef RS_REFUSAL_LOG_H
#define RS_REFUSAL_LOG_H

struct item;
struct loop;
struct refusal_log;

struct refusal_log *refusal_log_new(struct loop *loop); /* NULL: out of memory */
void refusal_log_free(struct refusal_log *l);           /* before the loop; NULL is legal */

/* ERROR: its release was refused (item->sqlstate, error, products, item_attempts()). */
void refusal_log_failed(struct refusal_log *l, const struct item *item);

/* WARN: it was not tried, since its product is refused. */
void refusal_log_deferred(struct refusal_log *l, const struct item *item);

/* WARN: all of a product are refused from now on. */
void refusal_log_product(struct refusal_log *l, const char *product, const char *sqlstate,
                         const char *error);

/* WARN: released, though some of its rows are of products that have no counter. */
void refusal_log_uncounted(struct refusal_log *l, const struct item *item);

/* Writes the summary of what has not been written so far, if there is any: before the last record
 * of a run. The minute goes on. */
void refusal_log_flush(struct refusal_log *l);

#endif
