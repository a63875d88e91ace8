/* Backlog mode: what is due is released straight from Postgres, by a pass over the workers'
 * connections, while many more are due than claims bring. backlog_plan.h says when.
 *
 * What is released is dropped from Redis; what cannot be stays there, and is claimed afterwards as
 * ever. So there is nothing to be settled: a sweeper that dies in the middle, a Redis that goes or
 * is emptied leave what anybody can find. */
#ifndef RS_BACKLOG_H
#define RS_BACKLOG_H

#include "base/callback.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backlog;
struct parts;
struct workers;

/* on_change(arg): claims may be made that might not before, or the other way round. Never from
 * inside a call. NULL: out of memory. */
struct backlog *backlog_new(struct parts *parts, struct workers *workers, event_cb *on_change,
                            void *arg);
/* The queue has been closed, and the workers disconnected. NULL is legal. */
void backlog_free(struct backlog *b);

/* A claim was answered: enters the mode if that is to be. full: it brought as many as it asked for;
 * due_left: how many more are due. */
void backlog_claimed(struct backlog *b, bool full, size_t due_left);

/* Whether claims may be made; *wake_us: when to ask again (monotonic); INT64_MAX: after on_change.
 */
bool backlog_may_claim(struct backlog *b, int64_t *wake_us);

/* Redis can be used, or no longer: then direct mode releases. */
void backlog_redis_changed(struct backlog *b);

/* An orderly stop: the slices under way are the last. on_change follows when it is idle. */
void backlog_stop(struct backlog *b);

/* Orderly stop with no time left: nothing is waited for any more. */
void backlog_abandon(struct backlog *b);

/* Nothing is under way. */
bool backlog_idle(const struct backlog *b);

#endif
