/* What a start finds due, and the first-run limit: a condition that is wrong would release a shop's
 * whole history, so a queue that is served for the first time, or by another mapping than before,
 * releases nothing while more is due than SWEEPER_FIRST_RUN_LIMIT. What was accepted is remembered
 * in Redis ({prefix}:accepted); where Redis cannot be used nothing is, and each start asks again.
 *
 * Which database it is, is asked along (parts->database). How much is due, and since when, is said
 * at INFO in any case; so are, at WARN, rows that are never due by some mistake. */
#ifndef RS_FIRST_RUN_H
#define RS_FIRST_RUN_H

#include "base/callback.h"

#include <stdbool.h>

struct first_run;
struct parts;
struct pg_link;

/* always: nothing is remembered, so the limit counts each time (--once). parts must outlive it.
 * NULL: out of memory. */
struct first_run *first_run_new(struct parts *parts, bool always);

/* f is of a queue that takes the place of another: what that was allowed holds for it too, if the
 * same rows are due. Before the first question. */
void first_run_take_over(struct first_run *f, const struct first_run *former);

/* The queue and the link must have been closed before: they may have been asked something. NULL is
 * legal. */
void first_run_free(struct first_run *f);

/* Asks Postgres over the link, which is up and not busy, the statements being ready, and then
 * Redis. done(arg) fires once, maybe from inside this call: then it is known whether releases may
 * begin, or first_run_wants_again. May be called again when Redis has become usable. */
void first_run_ask(struct first_run *f, struct pg_link *link, event_cb *done, void *arg);

/* Releases may begin. Without a limit at once; true for NULL, where nobody asks. */
bool first_run_may_release(const struct first_run *f);

/* It could not be found out: to be asked again, a little later. */
bool first_run_wants_again(const struct first_run *f);

/* The limit stops it. */
bool first_run_stopped(const struct first_run *f); /* NULL is legal */

/* It was stopped by the limit, and nobody could ask Redis whether this was accepted before. */
bool first_run_wants_redis(const struct first_run *f);

/* What it serves, as one word (first_run_mapping). */
const char *first_run_own_mapping(const struct first_run *f);

/* Why releases may not begin, one sentence; "" when they may. */
const char *first_run_reason(const struct first_run *f);

#endif
