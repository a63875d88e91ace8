/* A mark in Redis that goes when its data does. */
#include "feed/marker.h"

#include "base/clock.h"
#include "base/few.h"
#include "base/log.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "queue/repair.h"
#include "release/parts.h"

#include <stdlib.h>

#define INTERVAL_US (500 * MS_US)

struct marker {
    struct parts *parts;
    struct timer *tick;
    bool known; /* the mark was there at the last look on this connection */
    bool asked, freed;
    struct few said;
    void (*on_lost)(void *arg);
    void *arg;
};

/* A Redis that evicts keys loses the mark again and again. */
static void say_lost(struct marker *m)
{
    if (!few_may(&m->said, clock_mono_us()))
        return;
    log_event(LOG_WARN, "Redis has lost its data; it is mirrored anew", LOG_INT, "timesNotSaid",
              (int64_t)m->said.more, LOG_END);
    m->said.more = 0;
}

static void on_mark(void *arg, bool gone, const char *error)
{
    struct marker *m = arg;
    m->asked = false;
    if (m->freed) {
        free(m);
        return;
    }
    if (error == NULL) {
        bool lost = gone && m->known;
        m->known = true;
        if (lost) {
            say_lost(m);
            m->on_lost(m->arg);
        }
    }
    timer_after_us(m->tick, INTERVAL_US);
}

static void on_tick(void *arg)
{
    struct marker *m = arg;
    if (m->asked || !parts_redis_usable(m->parts))
        return;
    if (due_queue_mark(m->parts->queue, on_mark, m) == 0)
        m->asked = true;
    else
        timer_after_us(m->tick, INTERVAL_US);
}

struct marker *marker_new(struct parts *parts, void (*on_lost)(void *arg), void *arg)
{
    struct marker *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return NULL;
    m->parts = parts;
    m->on_lost = on_lost;
    m->arg = arg;
    m->tick = timer_new(parts->loop, on_tick, m);
    if (m->tick == NULL) {
        free(m);
        return NULL;
    }
    return m;
}

void marker_free(struct marker *m)
{
    if (m == NULL)
        return;
    timer_free(m->tick);
    m->tick = NULL;
    m->freed = true;
    if (!m->asked)
        free(m); /* else with Redis's answer */
}

void marker_redis_changed(struct marker *m)
{
    m->known = false;
    timer_after_us(m->tick, 0);
}
