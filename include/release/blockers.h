/* Asks Postgres who holds locked what has been locked for long (locked.h), and has it said in the
 * log. Over a connection of its own, which there is only while something has been locked for long:
 * it must not stand behind those that wait. */
#ifndef RS_BLOCKERS_H
#define RS_BLOCKERS_H

#include <stdbool.h>
#include <stdint.h>

struct blockers;
struct pg_link;
struct parts;

/* parts must outlive it. NULL: out of memory. */
struct blockers *blockers_new(struct parts *parts);
void blockers_free(struct blockers *b); /* NULL is legal */

/* A question was given up by Postgres, after a wait, or a release had no answer in its time:
 * perhaps a table is locked as a whole, a commit waits for a synchronous standby, or a sweeper is
 * cut off in the middle of its transaction. Who holds it, and whether it does, is asked for, and
 * said in the log when that begins; a sweeper's session that is cut off for 10 s is ended. NULL is
 * legal. */
void blockers_suspect(struct blockers *b);

/* Since when (monotonic) a release waits at its COMMIT for a synchronous standby, so that no other
 * is made; 0: none does, as far as was asked. NULL is legal. */
int64_t blockers_standby_wait_us(const struct blockers *b);

/* A release of this reservation alone is about to be sent over the link; it may wait for a lock
 * that nothing in its row tells of. True when it will be watched for whom it waits for. NULL is
 * legal: nobody watches. */
bool blockers_watch(struct blockers *b, const struct pg_link *waiter, const char *id);

#endif
