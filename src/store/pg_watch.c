/* One outage of Postgres, whatever its links say one after the other. */
#include "store/pg_watch.h"

#include "base/log.h"
#include "link/server_watch.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

enum link_state { NOT_TRIED, LINK_UP, LINK_LOST, LINK_REFUSED };

LIST_HEAD(pg_watch_list, pg_watch);

struct pg_outage {
    struct server_watch *watch;
    char *const *address;
    bool connected; /* has been said */
    struct pg_watch_list watches;
};

struct pg_watch {
    LIST_ENTRY(pg_watch) entry;
    struct pg_outage *outage;
    event_cb *slept, *moved; /* NULL: nobody wants to know */
    void *arg;
    int64_t server_us; /* where a connection has moved to last */
    int nlinks;
    struct {
        enum link_state state;
        bool lost_alone; /* and is not back: the feed's link has stayed up since */
    } links[];
};

struct pg_outage *pg_outage_new(struct loop *loop, char *const *address)
{
    const struct server_watch_words words = {
        .server = "postgres",
        .address = address,
        .back = "Postgres is back",
        .often = "Connections to Postgres are often lost, and made anew at once",
    };
    struct pg_outage *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return NULL;
    LIST_INIT(&o->watches);
    o->address = address;
    o->watch = server_watch_new(loop, &words);
    if (o->watch == NULL) {
        free(o);
        return NULL;
    }
    return o;
}

void pg_outage_free(struct pg_outage *o)
{
    if (o == NULL)
        return;
    assert(LIST_EMPTY(&o->watches));
    server_watch_free(o->watch);
    free(o);
}

struct pg_watch *pg_watch_new(struct pg_outage *outage, int nlinks)
{
    struct pg_watch *w = calloc(1, sizeof(*w) + (size_t)nlinks * sizeof(w->links[0]));
    if (w == NULL)
        return NULL;
    w->outage = outage;
    w->nlinks = nlinks;
    LIST_INSERT_HEAD(&outage->watches, w, entry);
    return w;
}

void pg_watch_on_loss(struct pg_watch *w, event_cb *slept, event_cb *moved, void *arg)
{
    if (w == NULL)
        return;
    w->slept = slept;
    w->moved = moved;
    w->arg = arg;
}

void pg_watch_free(struct pg_watch *w)
{
    if (w == NULL)
        return;
    LIST_REMOVE(w, entry);
    free(w);
}

/* A link that was up may be so again at once; one that fails to connect is down. */
static enum link_state next_state(enum link_state before, bool up)
{
    if (up)
        return LINK_UP;
    return before == LINK_UP ? LINK_LOST : LINK_REFUSED;
}

static bool any(const struct pg_outage *o, enum link_state state)
{
    const struct pg_watch *w;
    LIST_FOREACH(w, &o->watches, entry)
    for (int i = 0; i < w->nlinks; i++)
        if (w->links[i].state == state)
            return true;
    return false;
}

/* True: this link is back, and the feed's has slept through its loss. */
static bool notes_sleep(struct pg_watch *w, int link, bool up)
{
    bool slept = up && w->links[link].lost_alone;
    if (link == PG_WATCH_FEED || slept) {
        for (int i = 0; i < w->nlinks; i++)
            w->links[i].lost_alone = false;
    } else if (!up && w->links[link].state == LINK_UP) {
        w->links[link].lost_alone = w->links[PG_WATCH_FEED].state == LINK_UP;
    }
    return slept;
}

static void note(struct pg_outage *o, bool up, const char *reason)
{
    if (up && !o->connected)
        log_event(LOG_INFO, "Postgres connected", LOG_STR, "postgres", *o->address, LOG_END);
    o->connected = o->connected || up;
    if (!any(o, LINK_LOST) && !any(o, LINK_REFUSED))
        server_watch_up(o->watch);
    else if (!up)
        server_watch_down(o->watch,
                          any(o, LINK_UP)
                              ? "Postgres takes not all of the sweeper's connections"
                              : "Postgres is out of reach; nothing is claimed until it is back",
                          reason, any(o, LINK_REFUSED));
}

void pg_outage_judge(struct pg_outage *o)
{
    if (any(o, LINK_UP) && !any(o, LINK_LOST) && !any(o, LINK_REFUSED))
        server_watch_up(o->watch);
}

void pg_watch_moved(struct pg_watch *w, int64_t server_us)
{
    if (w == NULL || w->server_us == server_us)
        return;
    w->server_us = server_us;
    if (w->moved != NULL)
        w->moved(w->arg);
}

void pg_watch_link(struct pg_watch *w, int link, bool up, const char *reason)
{
    if (w == NULL)
        return;
    assert(link >= 0 && link < w->nlinks);
    bool slept = notes_sleep(w, link, up);
    w->links[link].state = next_state(w->links[link].state, up);
    const char *queue = log_set_queue(NULL); /* it is the server's */
    note(w->outage, up, reason);
    (void)log_set_queue(queue);
    if (slept && w->slept != NULL)
        w->slept(w->arg);
}
