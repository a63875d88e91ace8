/* Who holds one of the tables locked that a queue's statements use: asked for when one of them has
 * waited in vain. */
#ifndef RS_TABLE_BLOCKER_H
#define RS_TABLE_BLOCKER_H

#include "link/pg_link.h"

#include <stdbool.h>
#include <stddef.h>

struct queue;

#define TABLE_BLOCKER_LOCK_WAIT "55P03" /* SQLSTATE of lock_timeout */

/* Whether an error of this SQLSTATE may come of a table that is locked: a wait for a lock, or the
 * whole statement, took too long. It says nothing of the statement. */
bool table_blocker_suspect(const char *sqlstate);

/* Asks through a link that is up and not busy: of the queue's tables, and of those that its SQL
 * names. cb as of pg_link_send; the answer is as sql/table_blocker.sql says. Returns 0, or -1 when
 * nothing was sent. */
int table_blocker_ask(const struct queue *queue, struct pg_link *link, pg_answer_cb *cb, void *arg)
    __attribute__((warn_unused_result));

/* sentence: which table is locked, by whom, and since when. Where nobody is found: of a wait for a
 * lock that it was one, else the server's message. locked: it is known to be about a lock. The
 * sentence ends with the call. */
typedef void table_blocker_cb(void *arg, const char *sentence, bool locked);

/* In the callback of a request through link: was it refused for what may be a locked table, it is
 * asked who holds one. cb fires once, later. Returns 0, or -1 when nothing was asked: cb will not
 * fire. */
int table_blocker_find(const struct queue *queue, struct pg_link *link,
                       const struct pg_answer *answer, table_blocker_cb *cb, void *arg)
    __attribute__((warn_unused_result));

/* The sentence where nobody can be asked; returns `locked`. */
bool table_blocker_unknown(const char *sqlstate, const char *message, char *out, size_t size);

#endif
