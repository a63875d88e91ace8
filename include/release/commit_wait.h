/* Whether a release waits at its COMMIT until that is on the disk: SWEEPER_SYNCHRONOUS_COMMIT, what
 * keeps `off` from being used, and what is said of it.
 *
 * A release that does not wait may be undone when Postgres crashes. It is due again then, and found
 * by the full poll that follows each connect. So `off` is used only where a crash cannot be missed,
 * as it can behind a pooler, and where a release changes nothing but the two tables. */
#ifndef RS_COMMIT_WAIT_H
#define RS_COMMIT_WAIT_H

#include "link/pg_link.h"

#include <stdbool.h>

struct mapping_types;

enum commit_wait {
    COMMIT_AS_SERVER, /* the setting is `on`, which leaves the server's own alone */
    COMMIT_UNASKED,   /* likewise, since it is not known yet whose session it is */
    COMMIT_POOLED,    /* likewise, since a pooler is in between */
    COMMIT_MEDDLED,   /* likewise, since triggers or rules of the shop's take part, or others are
                         told of it */
    COMMIT_NO_WAIT,
};

/* synchronous: the setting. types: of the tables that are released. */
enum commit_wait commit_wait_judge(bool synchronous, enum pg_session session,
                                   const struct mapping_types *types);

/* What an operator would not expect of that. own: the server's setting for this session, "off",
 * "local", "on" ...; "": not known. Static storage; NULL: nothing. */
const char *commit_wait_notice(enum commit_wait verdict, const char *own);

/* Which notices were said; zeroed: none. */
#define COMMIT_NOTICES 4
struct commit_notices {
    const char *said[COMMIT_NOTICES];
};

/* Whether this one (not NULL) has not been said yet; it counts as said then. */
bool commit_wait_is_news(struct commit_notices *notices, const char *notice);

#endif
