/* libpq's socket, watched by the loop. */
#include "link/loop.h"
#include "link/pg_link_private.h"

#include <event2/event.h>

int pg_socket_watch(struct event *io, struct loop *loop, PGconn *conn, short what,
                    void (*cb)(int fd, short what, void *arg), void *arg)
{
    int fd = PQsocket(conn);
    (void)event_del(io);
    if (fd < 0 || event_assign(io, loop_base(loop), fd, (short)(what | EV_PERSIST), cb, arg) != 0)
        return -1;
    return event_add(io, NULL);
}

void pg_socket_discard_notifications(PGconn *conn)
{
    PGnotify *notify;
    while ((notify = PQnotifies(conn)) != NULL)
        PQfreemem(notify);
}
