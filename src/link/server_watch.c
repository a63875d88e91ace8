/* The records of a server that is out of reach, or refuses. */
#include "link/server_watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/outage.h"
#include "base/time_units.h"
#include "link/loop.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK_US (500 * MS_US)

struct server_watch {
    struct server_watch_words words;
    struct outage outage;
    const char *message;
    char queue[LOG_QUEUE_MAX + 1]; /* that the message is about; "": none */
    struct timer *check;
};

static void put(const struct server_watch *w, enum log_level level, const char *message,
                const char *reason, bool degraded)
{
    const char *server = w->words.server;
    const char *address = *w->words.address;
    int64_t away_s = w->outage.lasted_us / SECOND_US;
    if (w->words.degraded)
        log_event(level, message, LOG_STR, "error", reason, LOG_STR, server, address, LOG_INT,
                  "awaySeconds", away_s, LOG_BOOL, "degraded", (int)degraded, LOG_END);
    else
        log_event(level, message, LOG_STR, "error", reason, LOG_STR, server, address, LOG_INT,
                  "awaySeconds", away_s, LOG_END);
}

static void say(struct server_watch *w, enum outage_say what)
{
    const struct outage *o = &w->outage;
    bool down = what == OUTAGE_WARN || what == OUTAGE_ERROR;
    const char *queue = log_set_queue(down && w->queue[0] != '\0' ? w->queue : NULL);
    switch (what) {
    case OUTAGE_SILENT:
        break;
    case OUTAGE_WARN:
        put(w, LOG_WARN, w->message, o->reason, true);
        break;
    case OUTAGE_ERROR:
        put(w, LOG_ERROR, w->message, o->reason, true);
        break;
    case OUTAGE_OVER:
        put(w, LOG_INFO, w->words.back, o->reason, false);
        break;
    case OUTAGE_OFTEN:
        log_event(LOG_WARN, w->words.often, LOG_STR, "error", o->reason, LOG_STR, w->words.server,
                  *w->words.address, LOG_INT, "times", (int64_t)o->brief, LOG_INT, "seconds",
                  o->brief_us / SECOND_US, LOG_END);
        break;
    }
    (void)log_set_queue(queue);
}

static void on_check(void *arg)
{
    struct server_watch *w = arg;
    say(w, outage_check(&w->outage, clock_mono_us()));
    timer_after_us(w->check, CHECK_US);
}

struct server_watch *server_watch_new(struct loop *loop, const struct server_watch_words *words)
{
    struct server_watch *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->words = *words;
    w->check = timer_new(loop, on_check, w);
    if (w->check == NULL) {
        free(w);
        return NULL;
    }
    return w;
}

void server_watch_free(struct server_watch *w)
{
    if (w == NULL)
        return;
    timer_free(w->check);
    free(w);
}

void server_watch_down(struct server_watch *w, const char *message, const char *reason,
                       bool lasting)
{
    w->message = message;
    snprintf(w->queue, sizeof(w->queue), "%s", log_queue() != NULL ? log_queue() : "");
    say(w, outage_on(&w->outage, reason, lasting, clock_mono_us()));
    if (!timer_armed(w->check))
        timer_after_us(w->check, CHECK_US);
}

void server_watch_up(struct server_watch *w)
{
    enum outage_say what = outage_off(&w->outage, clock_mono_us());
    timer_clear(w->check);
    say(w, what);
}

bool server_watch_said(const struct server_watch *w)
{
    return w->outage.since_us != 0 && w->outage.said_us != 0;
}
