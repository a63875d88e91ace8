/* Whether a release waits for the disk, and what is said of it: see commit_wait.h. */
#include "release/commit_wait.h"

#include "config/queue.h"
#include "store/mapping.h"

#include <string.h>

enum commit_wait commit_wait_judge(bool synchronous, enum pg_session session,
                                   const struct mapping_types *types)
{
    if (synchronous)
        return COMMIT_AS_SERVER;
    if (mapping_looks_again(types) || types->queue->notify.text != NULL)
        return COMMIT_MEDDLED;
    switch (session) {
    case PG_SESSION_OURS:
        return COMMIT_NO_WAIT;
    case PG_SESSION_POOLED:
        return COMMIT_POOLED;
    case PG_SESSION_UNASKED:
        break;
    }
    return COMMIT_UNASKED;
}

const char *commit_wait_notice(enum commit_wait verdict, const char *own)
{
    if (verdict == COMMIT_NO_WAIT || verdict == COMMIT_UNASKED)
        return NULL;
    if (strcmp(own, "off") == 0)
        return "releases do not wait for the disk: the server's own synchronous_commit is off for "
               "this role or database, and is left alone";
    if (strcmp(own, "local") == 0)
        return "releases wait for the disk, but for no standby: the server's own "
               "synchronous_commit is local for this role or database, and is left alone";
    if (verdict == COMMIT_POOLED)
        return "releases wait for the disk: off is not used through a pooler, where a crash of "
               "Postgres may not be noticed";
    if (verdict == COMMIT_MEDDLED)
        return "releases wait for the disk: off is not used where triggers or rules of the shop's, "
               "or statements of `also`, take part in them, nor where `notify` tells of them";
    return NULL;
}

bool commit_wait_is_news(struct commit_notices *notices, const char *notice)
{
    int i = 0;
    while (i < COMMIT_NOTICES && notices->said[i] != NULL)
        if (notices->said[i++] == notice)
            return false;
    if (i == COMMIT_NOTICES)
        return false;
    notices->said[i] = notice;
    return true;
}
