/* The event loop: one libevent base with precise timers, signals and one-shot timers.
 *
 * libevent's ordinary timers are milliseconds late; EVENT_BASE_FLAG_PRECISE_TIMER makes them
 * tens of microseconds (event2/event.h). SIGPIPE is main's to ignore. */
#ifndef RS_LOOP_H
#define RS_LOOP_H

#include "base/callback.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct loop;
struct timer;

/* NULL when memory or descriptors ran out. */
struct loop *loop_new(void);

/* Frees the loop and its signal handlers; timers must have been freed before. NULL is legal. */
void loop_free(struct loop *loop);

/* Runs until loop_stop. Returns 0, or -1 when the backend failed. */
int loop_run(struct loop *loop) __attribute__((warn_unused_result));

/* Makes loop_run return after the callbacks of this turn; before loop_run: after its first turn. */
void loop_stop(struct loop *loop);

/* Events of this priority are served when nothing else is waiting. */
#define LOOP_PRIORITY_LOW 2

/* libevent's own, for modules that own descriptors (links, HTTP); it stays the loop's. */
struct event_base *loop_base(struct loop *loop);

/* Calls cb(arg) on the loop's thread at each arrival of signo. Once the loop is freed, further ones
 * do nothing: the process is ending. Returns 0 or -1. */
int loop_on_signal(struct loop *loop, int signo, event_cb *cb, void *arg)
    __attribute__((warn_unused_result));

/* A library has blocked the loop for so long: nobody was heard meanwhile. */
void loop_blocked(struct loop *loop, int64_t us);

/* A timer that is not armed; cb(arg) is called from the loop, with the log's queue (log_set_queue)
 * as it is now. NULL when memory ran out. */
struct timer *timer_new(struct loop *loop, event_cb *cb, void *arg);

/* The same for the deadline of somebody else's answer: what loop_blocked is told does not count. */
struct timer *timer_new_deadline(struct loop *loop, event_cb *cb, void *arg);

/* NULL is legal; allowed inside its own callback. */
void timer_free(struct timer *t);

/* Arms it once, replacing an earlier moment. A delay of 0 or less means: on a later turn of the
 * loop, never inside the caller. Counts from now, not from when the loop woke. */
void timer_after_us(struct timer *t, int64_t delay_us);

/* Arms it for this very turn of the loop: behind what is ready already, before the loop asks the
 * kernel for more, and never inside the caller. It is spared two system calls by that. Whoever arms
 * it again and again keeps the loop from everything else: only for what comes to an end. */
void timer_soon(struct timer *t);

/* The same as timer_after_us for a moment of the monotonic clock; one that has passed means: on a
 * later turn. */
void timer_at_us(struct timer *t, int64_t mono_us);

/* Disarms it; harmless when it is not armed. */
void timer_clear(struct timer *t);

/* Whether it is going to fire. */
bool timer_armed(const struct timer *t);

#endif
