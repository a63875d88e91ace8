/* Goes through :kept for what no entry leads to in time. An answer that is awaited keeps the object
 * alive: `freed` marks one that goes with it. */
#include "sweep/kept_walk.h"

#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "link/loop.h"
#include "queue/repair.h"
#include "release/parts.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP_US (2 * SECOND_US)
/* What is locked waits for no longer, and clocks differ by less. */
#define SLACK_US (5 * SECOND_US)

struct kept_walk {
    struct parts *parts;
    struct timer *tick;
    char cursor[32];
    bool asked, freed;
};

static void on_step(void *arg, const char *cursor, const struct due_found *found, size_t n,
                    const char *error)
{
    struct kept_walk *w = arg;
    (void)found;
    (void)n;
    w->asked = false;
    if (w->freed)
        free(w);
    else
        snprintf(w->cursor, sizeof(w->cursor), "%s", error == NULL ? cursor : "0");
}

/* How far ahead an entry of a kept one may lie: what was kept under another file may lie further.
 */
static int64_t ahead_ms(const struct parts *s)
{
    const struct queue_keep *keep = &s->config->queue->keep;
    return ((keep->condition.text != NULL ? keep->look_again_us : 0) + SLACK_US) / MS_US;
}

static void on_tick(void *arg)
{
    struct kept_walk *w = arg;
    const struct parts *s = w->parts;
    timer_after_us(w->tick, STEP_US);
    if (w->asked || s->sizes.kept == 0 || !parts_redis_usable(s) || !s->pg_clock.known)
        return;
    int64_t now_ms = server_clock_now_us(&s->pg_clock) / MS_US;
    w->asked =
        due_queue_retrieve(s->queue, w->cursor, now_ms, now_ms + ahead_ms(s), on_step, w) == 0;
}

struct kept_walk *kept_walk_new(struct parts *parts)
{
    struct kept_walk *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->parts = parts;
    snprintf(w->cursor, sizeof(w->cursor), "0");
    w->tick = timer_new(parts->loop, on_tick, w);
    if (w->tick == NULL) {
        free(w);
        return NULL;
    }
    /* Without a keep_while too: there may be records of one that was there before. */
    timer_after_us(w->tick, STEP_US);
    return w;
}

void kept_walk_free(struct kept_walk *w)
{
    if (w == NULL)
        return;
    timer_free(w->tick);
    w->freed = true;
    if (!w->asked)
        free(w); /* else with Redis's answer */
}
