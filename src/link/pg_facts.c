/* What is known of a link, without asking the server. */
#include "link/pg_link_private.h"

bool pg_link_up(const struct pg_link *link)
{
    return link->state == PG_LINK_UP;
}

bool pg_link_busy(const struct pg_link *link)
{
    return link->request.active;
}

uint64_t pg_link_reconnects(const struct pg_link *link)
{
    return link->reconnects;
}

const char *pg_link_last_error(const struct pg_link *link)
{
    return link->last_error;
}

int pg_link_backend_pid(const struct pg_link *link)
{
    return link->state == PG_LINK_UP ? PQbackendPID(link->conn) : 0;
}

int pg_link_server_version(const struct pg_link *link)
{
    return link->state == PG_LINK_UP ? PQserverVersion(link->conn) : 0;
}

enum pg_session pg_link_session(const struct pg_link *link, const char **commit)
{
    *commit = link->state == PG_LINK_UP ? link->names.commit : "";
    return link->state == PG_LINK_UP ? link->names.session : PG_SESSION_UNASKED;
}
