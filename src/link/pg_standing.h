/* What a server is to one who wants to write: asked at the connect. For pg_attempt.c alone. */
#ifndef RS_PG_STANDING_H
#define RS_PG_STANDING_H

#include "link/pg_link.h"

#include <libpq-fe.h>
#include <stdbool.h>

struct pg_standing {
    bool read_only;
    char system[PG_SYSTEM_SIZE]; /* the database system, which a standby shares; "": not told */
    unsigned timeline;           /* rises with each promotion; 0: not told */
};

/* Sends the question. False: the connection does not take it. */
bool pg_standing_ask(PGconn *conn);

/* Takes the whole answer: PQisBusy has said that it is there. What a server does not tell (managed
 * ones know no timelines) is not told. */
void pg_standing_take(struct pg_standing *standing, PGconn *conn);

/* Whether the links may be at a server of this standing, which is noted then. Not at one whose
 * timeline is behind one that they have seen of the same system: it was the primary before the last
 * promotion, and what is written there is lost. home: NULL, nothing has been seen. */
bool pg_standing_admits(const struct pg_standing *standing, struct pg_home *home);

#endif
