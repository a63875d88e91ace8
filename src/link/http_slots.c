/* The HTTP server's connections: how many, how long, and which one gives way.
 *
 * evhttp limits neither, and says nothing of a connection before its request is complete. So each
 * connection has a slot: made when evhttp asks for a bufferevent, in a list with the oldest first,
 * found again by that bufferevent. A slot goes through these stages:
 *
 *   waiting   for the request; at its deadline it is cut, and so is the oldest one when there is no
 *             room for another
 *   answered  by us, at leisure: no deadline, and never cut
 *   leaving   the answer is on its way, with a deadline again
 *   cut       its socket is shut down; evhttp finds out, and frees the connection in its own time
 *   ended     evhttp has freed it: the callbacks of the bufferevent are gone; the next tick forgets
 * it
 *
 * What must hold:
 * - A slot keeps a reference to its bufferevent from its making to its end, and so the descriptor:
 *   shutdown() can never hit another connection that was given the same number.
 * - Only the tick and a new connection forget slots, never a callback of the connection itself.
 * - All of it has low priority, and accepting pauses after ACCEPT_AT_ONCE, so that a flood of
 *   connections delays neither the sweep nor those whose request has come.
 * - The tick is always armed: it alone listens again, after a pause and after accepting failed. */
#include "link/http_private.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "link/loop.h"

#include <assert.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CONNECTIONS_MAX 128
#define SPARE 64          /* that were cut and are not gone yet */
#define ACCEPT_AT_ONCE 32 /* then those that sent their request are served before any other */
#define REQUEST_US (5 * SECOND_US) /* for the request to arrive, and for the answer to leave */
#define TICK_CROWDED_US MS_US      /* while those that were cut are not gone */
#define TICK_BUSY_US (100 * MS_US) /* while there are connections */
#define TICK_IDLE_US SECOND_US     /* ... and else, should accepting have failed */

/* evhttp has freed its connection: that takes the callbacks away. */
static bool ended(const struct http_slot *slot)
{
    bufferevent_event_cb on_event = NULL;
    bufferevent_getcb(slot->bev, NULL, NULL, &on_event, NULL);
    return on_event == NULL;
}

static void forget(struct http *h, struct http_slot *slot)
{
    assert(h->nslots > 0 && h->ncut <= h->nslots);
    TAILQ_REMOVE(&h->slots, slot, entry);
    h->nslots--;
    h->ncut -= slot->cut ? 1 : 0;
    bufferevent_disable(slot->bev, EV_READ | EV_WRITE);
    bufferevent_decref(slot->bev); /* the last reference: closes the descriptor */
    free(slot);
}

static void reap(struct http *h)
{
    struct http_slot *next;
    for (struct http_slot *slot = TAILQ_FIRST(&h->slots); slot != NULL; slot = next) {
        next = TAILQ_NEXT(slot, entry);
        if (ended(slot))
            forget(h, slot);
    }
}

/* evhttp reads the end of the stream, or fails to write, and frees the connection in its own time.
 */
static void cut(struct http *h, struct http_slot *slot)
{
    assert(!slot->cut && slot->request == NULL);
    slot->cut = true;
    h->ncut++;
    (void)shutdown(bufferevent_getfd(slot->bev), SHUT_RDWR);
}

static void cut_oldest(struct http *h)
{
    struct http_slot *slot;
    TAILQ_FOREACH(slot, &h->slots, entry)
    {
        if (!slot->cut && slot->deadline_us != INT64_MAX) {
            cut(h, slot);
            return;
        }
    }
}

static void tick_after(struct http *h, int64_t us)
{
    const struct timeval tv = {.tv_sec = (time_t)(us / SECOND_US),
                               .tv_usec = (suseconds_t)(us % SECOND_US)};
    (void)event_add(h->tick, &tv);
}

static void set_listening(struct http *h, bool listening)
{
    for (int i = 0; i < h->nlisteners; i++) {
        if (listening)
            (void)evconnlistener_enable(h->listeners[i]);
        else
            (void)evconnlistener_disable(h->listeners[i]);
    }
}

struct bufferevent *http_slot_open(struct event_base *base, void *arg)
{
    struct http *h = arg;
    struct http_slot *slot = calloc(1, sizeof(*slot));
    if (slot == NULL)
        return NULL; /* evhttp makes one itself: unlimited, but answered */
    slot->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (slot->bev == NULL) {
        free(slot);
        return NULL;
    }
    if (h->nslots - h->ncut >= CONNECTIONS_MAX)
        reap(h);
    if (h->nslots - h->ncut >= CONNECTIONS_MAX)
        cut_oldest(h);
    bufferevent_incref(slot->bev);
    http_error_watch(slot);
    (void)bufferevent_priority_set(slot->bev, LOOP_PRIORITY_LOW);
    slot->deadline_us = clock_mono_us() + REQUEST_US;
    TAILQ_INSERT_TAIL(&h->slots, slot, entry);
    h->nslots++;
    bool pause = ++h->naccepted >= ACCEPT_AT_ONCE;
    if (pause) /* the tick listens again; it comes after what is there to be read */
        set_listening(h, false);
    tick_after(h, pause ? 0 : TICK_BUSY_US);
    return slot->bev;
}

struct http_slot *http_slot_find(struct http *h, const struct bufferevent *bev)
{
    struct http_slot *slot;
    TAILQ_FOREACH(slot, &h->slots, entry)
    {
        if (slot->bev == bev)
            return slot;
    }
    return NULL;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct http *h = arg;
    struct http_slot *slot;
    int64_t now_us = clock_mono_us();
    (void)fd;
    (void)what;
    reap(h);
    TAILQ_FOREACH(slot, &h->slots, entry)
    {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not follow TAILQ_REMOVE */
        if (!slot->cut && slot->deadline_us <= now_us)
            cut(h, slot);
    }
    h->naccepted = 0;
    bool crowded = h->nslots >= CONNECTIONS_MAX + SPARE;
    set_listening(h, !crowded);
    if (crowded)
        tick_after(h, TICK_CROWDED_US);
    else
        tick_after(h, h->nslots > 0 ? TICK_BUSY_US : TICK_IDLE_US);
}

int http_slots_start(struct http *h)
{
    h->tick = evtimer_new(loop_base(h->loop), on_tick, h);
    if (h->tick == NULL)
        return -1;
    (void)event_priority_set(h->tick, LOOP_PRIORITY_LOW);
    tick_after(h, 0);
    return 0;
}

void http_slots_ended(struct http *h)
{
    tick_after(h, 0);
}

void http_slots_free(struct http *h)
{
    while (!TAILQ_EMPTY(&h->slots))
        forget(h, TAILQ_FIRST(&h->slots)); /* NOLINT(clang-analyzer-unix.Malloc): as above */
    if (h->tick != NULL)
        event_free(h->tick);
    h->tick = NULL;
}
