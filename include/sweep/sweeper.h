/* The daemon's heart: decides when the next claim is made. Its workers are the connections that
 * release what was claimed, and, while Redis is out of reach, what others read from Postgres.
 *
 * Sleeps until the next score by Postgres's clock, at most max_sleep. After a quiet moment what
 * comes due goes at once; under load batches start at least `pace` apart, so that they fill; a
 * full batch never waits. */
#ifndef RS_SWEEPER_H
#define RS_SWEEPER_H

#include "base/callback.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct parts;
struct sweeper;

/* Makes the workers that the settings ask for; parts must outlive it and have a queue. NULL: out
 * of memory. */
struct sweeper *sweeper_new(struct parts *parts);

/* Ends the workers' connections for good: what is under way has no answer. */
void sweeper_disconnect(struct sweeper *s);

/* The queue must have been closed before, and sources that others have added to the engine removed.
 * NULL is legal. */
void sweeper_free(struct sweeper *s);

/* Once: begins to connect. */
void sweeper_start(struct sweeper *s);

/* The workers' engine: whoever adds a source to it removes that after sweeper_disconnect, and
 * before sweeper_free. */
struct engine *sweeper_engine(const struct sweeper *s);

/* Redis can be used, or no longer. */
void sweeper_redis_changed(struct sweeper *s);

/* Something was mirrored for at_ms (Postgres's time): wakes the sweeper when that is earlier than
 * it had in mind. */
void sweeper_expect(struct sweeper *s, int64_t at_ms);

/* The catalog has been read, by others than its workers; or a pause has begun, or is over. */
void sweeper_look_again(struct sweeper *s);

/* No new claims. done(arg) fires once, on a later turn, when nothing that was claimed is in hand.
 */
void sweeper_stop(struct sweeper *s, event_cb *done, void *arg);

/* The grace is over: what has no answer goes back to :pending; done follows. */
void sweeper_abandon(struct sweeper *s);

/* At least one worker is connected to Postgres. */
bool sweeper_postgres_up(const struct sweeper *s);

/* How often their connections were made anew, all together. */
uint64_t sweeper_postgres_reconnects(const struct sweeper *s);

/* The last error of the first one's connection, one line; "" for none. Good until the next. */
const char *sweeper_postgres_error(const struct sweeper *s);

#endif
