/* A mark in Redis that goes when its data does.
 *
 * due_queue_mark sets the mark unless it is there, and says which; it brings what Redis has of a
 * pause along. The mark names the database, so that another one's sweeper is noticed. That it was
 * not there is a loss only when it had been there before on this connection: after a connect all is
 * mirrored anew anyway. An answer that is awaited keeps the object alive: `freed` marks one that
 * goes with it. */
#include "feed/data_loss.h"

#include "base/callback.h"
#include "base/clock.h"
#include "base/few.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/loop.h"
#include "queue/pause_key.h"
#include "release/parts.h"
#include "release/pause.h"

#include <stdlib.h>
#include <string.h>

#define INTERVAL_US (500 * MS_US)
#define UNNAMED "1"

struct data_loss {
    struct parts *parts;
    struct timer *tick;
    bool known; /* the mark was there when last asked for on this connection */
    bool asked, freed;
    bool foreign; /* the mark names another database, and the log has it */
    struct few said;
    event_cb *on_lost;
    void *arg;
};

/* A Redis that evicts keys loses the mark again and again. */
static void say_lost(struct data_loss *d)
{
    if (!few_may(&d->said, clock_mono_us()))
        return;
    log_event(LOG_WARN, "Redis has lost its data; it is mirrored anew", LOG_INT, "timesNotSaid",
              (int64_t)d->said.more, LOG_END);
    d->said.more = 0;
}

/* Logged once: it goes on, since Postgres decides. */
static void compare_name(struct data_loss *d, const struct due_text *mark)
{
    const char *ours = d->parts->database;
    if (d->foreign || ours[0] == '\0' || mark->text == NULL || strcmp(mark->text, UNNAMED) == 0 ||
        strcmp(mark->text, ours) == 0)
        return;
    d->foreign = true;
    log_event(LOG_ERROR, "A sweeper of another database uses the same keys in Redis", LOG_STR,
              "keyPrefix", d->parts->config->key_prefix, LOG_STR, "database", ours, LOG_STR,
              "otherDatabase", mark->text, LOG_END);
}

static void on_mark(void *arg, const struct due_mark *mark, const char *error)
{
    struct data_loss *d = arg;
    d->asked = false;
    if (d->freed) {
        free(d);
        return;
    }
    if (error == NULL) {
        bool lost = mark->text.text == NULL && d->known;
        compare_name(d, &mark->text);
        pause_told(d->parts->pause, &mark->pause);
        d->known = true;
        if (lost) {
            say_lost(d);
            d->on_lost(d->arg);
        }
    }
    timer_after_us(d->tick, INTERVAL_US);
}

static void on_tick(void *arg)
{
    struct data_loss *d = arg;
    if (d->asked || !parts_redis_usable(d->parts))
        return;
    const char *name = d->parts->database[0] != '\0' ? d->parts->database : UNNAMED;
    if (due_queue_mark(d->parts->queue, name, on_mark, d) == 0)
        d->asked = true;
    else
        timer_after_us(d->tick, INTERVAL_US);
}

struct data_loss *data_loss_new(struct parts *parts, event_cb *on_lost, void *arg)
{
    struct data_loss *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return NULL;
    d->parts = parts;
    d->on_lost = on_lost;
    d->arg = arg;
    d->tick = timer_new(parts->loop, on_tick, d);
    if (d->tick == NULL) {
        free(d);
        return NULL;
    }
    return d;
}

void data_loss_free(struct data_loss *d)
{
    if (d == NULL)
        return;
    timer_free(d->tick);
    d->tick = NULL;
    d->freed = true;
    if (!d->asked)
        free(d); /* else with Redis's answer */
}

void data_loss_redis_changed(struct data_loss *d)
{
    d->known = false;
    timer_after_us(d->tick, 0);
}
