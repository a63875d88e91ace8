/* A pause of the queue: until its end nobody releases anything. What was begun before it comes is
 * brought to its end; the feed goes on, and so does everything else that releases nothing.
 *
 * Redis has it, for all sweepers ({prefix}:paused); each looks twice a second, and before its first
 * release. Its end is Postgres's time. A sweeper obeys the pause that it has seen until that end,
 * whether Redis is there or not, and writes it back into a Redis that has lost it. Who never saw it
 * releases, and says once that it could not ask. What was ordered last holds: pause_judge.h. */
#ifndef RS_PAUSE_H
#define RS_PAUSE_H

#include "base/callback.h"
#include "release/pause_record.h"

#include <stdbool.h>
#include <stdint.h>

struct due_pause;
struct parts;
struct pause;

/* For the queue of the parts, which must outlive it. on_change(arg), which may be NULL, fires on
 * the loop when a pause begins or is over, and when it has become known whether there is one. NULL:
 * out of memory. */
struct pause *pause_new(struct parts *parts, event_cb *on_change, void *arg);
void pause_free(struct pause *p); /* NULL is legal */

/* p is of a queue that takes the place of another, whose pause it goes on with. Before its start.
 */
void pause_take_over(struct pause *p, const struct pause *former);

/* Redis can be used from now on, or not any more: what it has is asked for before anything else. */
void pause_redis_changed(struct pause *p);

/* Somebody else's look has brought what Redis has: it need not be asked for the next time. seen
 * ends with the call. NULL is legal. */
void pause_told(struct pause *p, const struct due_pause *seen);

/* For modes that end: asks Redis, which is connected; done(arg) fires once, when it is known or is
 * not to be known. From then on it goes on looking. */
void pause_ask(struct pause *p, event_cb *done, void *arg);

/* The pause that lasts could not be asked for: WARN, once, unless one was ever seen. Releases may
 * begin. NULL is legal. */
void pause_out_of_reach(struct pause *p);

/* Releases may begin: none lasts, as far as can be known. True for NULL, where nobody asks. */
bool pause_allows(const struct pause *p);

/* One lasts; NULL is legal. */
bool pause_lasts(const struct pause *p);

/* While one lasts: its record, borrowed; NULL else. NULL is legal. */
const struct pause_record *pause_now(const struct pause *p);

/* When the last one that this process saw was over, by Postgres's time; 0: none was. */
int64_t pause_ended_us(const struct pause *p);

/* Why nothing is released, one sentence; "" while pause_allows. */
const char *pause_reason(const struct pause *p);

/* An order was given by this process: it holds at once. record: NULL for a resume. p: NULL is
 * legal. */
void pause_ordered(struct pause *p, int64_t number, const struct pause_record *record);

#endif
