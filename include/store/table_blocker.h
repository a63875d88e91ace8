/* Who holds one of the tables locked that a queue's statements use: asked for when one of them has
 * waited in vain. */
#ifndef RS_TABLE_BLOCKER_H
#define RS_TABLE_BLOCKER_H

#include "link/pg_link.h"

#include <stdbool.h>
#include <stddef.h>

struct queue;

/* Whether an error of this SQLSTATE may come of a table that is locked: a wait for a lock, or the
 * whole statement, took too long. It says nothing of the statement. */
bool table_blocker_suspect(const char *sqlstate);

/* Asks through a link that is up and not busy: of the queue's tables, and of those that its SQL
 * names. cb as of pg_link_send; the answer is as sql/table_blocker.sql says. Returns 0, or -1 when
 * nothing was sent. */
int table_blocker_ask(const struct queue *queue, struct pg_link *link, pg_answer_cb *cb, void *arg)
    __attribute__((warn_unused_result));

/* The sentence for that answer: which table is locked, by whom, and since when. Where nobody is
 * found: of a wait for a lock that it was one, of anything else `message`, which is the server's of
 * the error with this SQLSTATE. Returns whether it is known to be about a lock. */
bool table_blocker_say(const struct pg_answer *answer, const char *sqlstate, const char *message,
                       char *out, size_t size);

/* The same where nobody can be asked for. */
bool table_blocker_unknown(const char *sqlstate, const char *message, char *out, size_t size);

#endif
