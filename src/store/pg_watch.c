/* One outage of Postgres, whatever its links say one after the other. */
#include "store/pg_watch.h"

#include "base/log.h"
#include "link/server_watch.h"

#include <assert.h>
#include <stdlib.h>

enum link_state { NOT_TRIED, LINK_UP, LINK_LOST, LINK_REFUSED };

struct pg_watch {
    struct server_watch *watch;
    char *const *address;
    bool connected; /* has been said */
    int nlinks;
    enum link_state links[];
};

struct pg_watch *pg_watch_new(struct loop *loop, char *const *address, int nlinks)
{
    const struct server_watch_words words = {
        .server = "postgres",
        .address = address,
        .back = "Postgres is back",
        .often = "Connections to Postgres are often lost, and made anew at once",
    };
    struct pg_watch *w = calloc(1, sizeof(*w) + (size_t)nlinks * sizeof(w->links[0]));
    if (w == NULL)
        return NULL;
    w->address = address;
    w->nlinks = nlinks;
    w->watch = server_watch_new(loop, &words);
    if (w->watch == NULL) {
        free(w);
        return NULL;
    }
    return w;
}

void pg_watch_free(struct pg_watch *w)
{
    if (w == NULL)
        return;
    server_watch_free(w->watch);
    free(w);
}

/* A link that was up may be so again at once; one that fails to connect is down. */
static enum link_state next_state(enum link_state before, bool up)
{
    if (up)
        return LINK_UP;
    return before == LINK_UP ? LINK_LOST : LINK_REFUSED;
}

static bool any(const struct pg_watch *w, enum link_state state)
{
    for (int i = 0; i < w->nlinks; i++)
        if (w->links[i] == state)
            return true;
    return false;
}

void pg_watch_link(struct pg_watch *w, int link, bool up, const char *reason)
{
    if (w == NULL)
        return;
    assert(link >= 0 && link < w->nlinks);
    w->links[link] = next_state(w->links[link], up);
    if (up && !w->connected)
        log_event(LOG_INFO, "Postgres connected", LOG_STR, "postgres", *w->address, LOG_END);
    w->connected = w->connected || up;
    if (!any(w, LINK_LOST) && !any(w, LINK_REFUSED))
        server_watch_up(w->watch);
    else if (!up)
        server_watch_down(w->watch,
                          any(w, LINK_UP)
                              ? "Postgres takes not all of the sweeper's connections"
                              : "Postgres is out of reach; nothing is claimed until it is back",
                          reason, any(w, LINK_REFUSED));
}
