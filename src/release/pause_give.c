/* Orders to pause and to resume: looks at what stands there, and gives the next order, unless
 * somebody has given another meanwhile: then again. */
#include "release/pause_give.h"

#include "base/clock.h"
#include "queue/pause_key.h"
#include "release/parts.h"
#include "release/pause.h"
#include "release/pause_judge.h"

#include <stdio.h>
#include <stdlib.h>

#define TRIES 5
#define AWAY "Redis is out of reach"

struct give {
    struct parts *parts;
    int64_t for_us;
    struct pause_record record;
    int64_t number;
    bool lasted;
    int tries;
    void (*done)(void *arg, const struct pause_given *given);
    void *arg;
};

static void finish(struct give *g, const char *error)
{
    const struct pause_given given = {
        .error = error,
        .lasted = g->lasted,
        .until_us = g->for_us > 0 ? g->record.until_ms * MS_US : 0,
    };
    if (error == NULL)
        pause_ordered(g->parts->pause, g->number, g->for_us > 0 ? &g->record : NULL);
    g->done(g->arg, &given);
    free(g);
}

static void look(struct give *g);

static void on_given(void *arg, bool given, const char *error)
{
    struct give *g = arg;
    if (error != NULL)
        finish(g, error);
    else if (given)
        finish(g, NULL);
    else if (--g->tries > 0)
        look(g);
    else
        finish(g, "others give orders to pause or to resume at the same time");
}

static void on_seen(void *arg, const struct due_pause *seen, const char *error)
{
    struct give *g = arg;
    struct pause_record before;
    if (error != NULL) {
        finish(g, error);
        return;
    }
    int64_t now_us = server_clock_now_us(&g->parts->pg_clock), now_ms = now_us / MS_US;
    g->lasted = seen->record.text != NULL &&
                pause_record_read(&before, seen->record.text, seen->record.len, now_ms) &&
                before.until_ms > now_ms;
    g->number = pause_next_order(pause_order_read(seen->order.text), now_ms);
    g->record.until_ms = ms_rounded_up(now_us + g->for_us);
    char *record = g->for_us > 0 ? pause_record_make(&g->record) : NULL;
    const struct due_order order = {.seen = seen,
                                    .record = record,
                                    .for_ms = g->for_us > 0 ? ms_rounded_up(g->for_us) : 1,
                                    .number = g->number,
                                    .kept_ms = PAUSE_ORDER_KEPT_MS};
    if (record == NULL && g->for_us > 0)
        finish(g, "out of memory");
    else if (due_queue_order(g->parts->queue, &order, on_given, g) != 0)
        finish(g, AWAY);
    free(record);
}

static void look(struct give *g)
{
    if (due_queue_paused(g->parts->queue, on_seen, g) != 0)
        finish(g, AWAY);
}

void pause_give(struct parts *parts, const struct pause_wish *wish,
                void (*done)(void *arg, const struct pause_given *given), void *arg)
{
    struct give *g = calloc(1, sizeof(*g));
    if (g == NULL) {
        done(arg, &(struct pause_given){.error = "out of memory"});
        return;
    }
    *g = (struct give){
        .parts = parts, .for_us = wish->for_us, .tries = TRIES, .done = done, .arg = arg};
    snprintf(g->record.reason, sizeof(g->record.reason), "%s", wish->reason);
    snprintf(g->record.by, sizeof(g->record.by), "%s", wish->by);
    look(g);
}
