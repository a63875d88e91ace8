/* Tells others that something was released (`notify` of a queue): a NOTIFY, at most ten a second,
 * with how many since the one before. Over a connection of its own and in a transaction of its own,
 * after the COMMIT: at its own COMMIT a NOTIFY waits for a lock of the whole database, which may
 * hang. It is a hint: what is lost loses nothing, and no release ever waits for it. */
#ifndef RS_ANNOUNCER_H
#define RS_ANNOUNCER_H

#include "base/callback.h"

struct announcer;
struct parts;

/* What is sent, for --show-sql: $1 the channel, $2 the payload. */
extern const char announcer_sql[];

/* For the queue of the parts, which must outlive it, and which has `notify`. NULL: out of memory.
 */
struct announcer *announcer_new(const struct parts *parts);
void announcer_free(struct announcer *a); /* NULL is legal; what was not told yet is not told */

/* One reservation was released, and its COMMIT answered. NULL is legal: nobody is told. */
void announcer_released(struct announcer *a);

/* Calls done(arg) once, when all has been told, or after a second; from inside this call where
 * there is nothing to tell. NULL is legal. For modes that end. */
void announcer_flush(struct announcer *a, event_cb *done, void *arg);

#endif
