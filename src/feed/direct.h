/* Releases straight from Postgres: all that is due while Redis cannot be used; after that, and when
 * Redis has lost its data, what is long overdue, since a claim whose answer was lost leaves it
 * under a lease that nobody works on. The only file of the feed that runs a pass. */
#ifndef RS_DIRECT_H
#define RS_DIRECT_H

#include <stdbool.h>
#include <stdint.h>

struct direct;
struct drain_result;
struct engine;
struct overdue;
struct pg_link;
struct parts;

/* link: the feed's; lanes: the workers', which release while Redis cannot be used (drain.h), or
 * NULL; these and overdue, which is told what the passes saw, must outlive the object.
 * NULL: out of memory. */
struct direct *direct_new(struct parts *parts, struct pg_link *link, struct engine *lanes,
                          struct overdue *overdue);
void direct_free(struct direct *d); /* its link must have been freed before; NULL is legal */

/* Starts a pass over what has been overdue for at least min_overdue_us. Requires that none runs,
 * that the link is up and not busy, and that the statements are ready. done(arg, result)
 * fires once, never from inside this call. */
void direct_run(struct direct *d, int64_t min_overdue_us,
                void (*done)(void *arg, const struct drain_result *result), void *arg);

/* Tells `overdue` which is the oldest that the pass has not released: of one that runs, once it has
 * had its time; of one that failed. */
void direct_note(struct direct *d);

/* Ends the pass after the batches under way, if one runs: done still fires. */
void direct_stop(struct direct *d);

#endif
