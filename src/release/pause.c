/* A pause, as one sweeper sees it. What a look means is pause_judge.c's to say.
 *
 * What must hold:
 * - Nothing is released between the moment at which Redis can be used and the first look's answer.
 * - A look's answer that is awaited keeps the object alive: `freed` marks one that goes with it. */
#include "release/pause.h"

#include "base/clock.h"
#include "base/iso_time.h"
#include "base/log.h"
#include "link/loop.h"
#include "link/redis_link.h"
#include "queue/pause_key.h"
#include "release/parts.h"
#include "release/pause_judge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_US (500 * MS_US)
#define TOLD_US (LOOK_US + 250 * MS_US) /* a daemon's look at its mark brings it (data_loss.c) */
#define UNHEARD "whether a pause lasts has not been asked of Redis yet"

struct pause {
    struct parts *parts;
    struct timer *tick;
    struct pause_sight known;
    struct pause_record record; /* while known.paused */
    bool lasts;                 /* as it was last said */
    int64_t ended_us, began_us; /* Postgres's time; began: monotonic */
    bool told;                  /* others look, and tell */
    bool looked;                /* since Redis can be used */
    bool seen;                  /* one or none, at any time */
    bool said_unknown, said_odd;
    bool asked, freed;
    char reason[PAUSE_SAID_SIZE];
    event_cb *done; /* pause_ask's */
    void *done_arg;
    event_cb *on_change;
    void *arg;
};

static int64_t now_ms(const struct parts *parts)
{
    return server_clock_now_us(&parts->pg_clock) / MS_US;
}

/* ---- whether one lasts ---- */

static void say_begun(const struct pause *p)
{
    char until[ISO_TIME_SIZE];
    log_event(LOG_INFO, "Paused: nothing is released", LOG_STR, "until",
              iso_time(p->record.until_ms * MS_US, until), LOG_STR, "reason",
              log_told(p->record.reason), LOG_STR, "by", log_told(p->record.by), LOG_END);
}

static void begin(struct pause *p)
{
    p->lasts = true;
    p->began_us = clock_mono_us();
    p->parts->careful = true;
    say_begun(p);
}

static void end(struct pause *p)
{
    p->lasts = false;
    p->ended_us = server_clock_now_us(&p->parts->pg_clock);
    p->reason[0] = '\0';
    log_event(LOG_INFO, "The pause is over: releases go on", LOG_STR, "why",
              p->known.paused ? "its end has come" : "resumed", LOG_INT, "pausedSeconds",
              (clock_mono_us() - p->began_us) / SECOND_US, LOG_END);
    p->known.paused = false;
}

static bool has_ended(const struct pause *p)
{
    return p->parts->pg_clock.known && p->record.until_ms <= now_ms(p->parts);
}

/* Follows what is known, and the time. True: something has changed. */
static bool follow(struct pause *p)
{
    bool lasts = p->known.paused && !has_ended(p);
    bool changed = lasts != p->lasts;
    if (changed && lasts)
        begin(p);
    else if (changed)
        end(p);
    p->known.paused = lasts;
    if (lasts)
        pause_record_say(&p->record, p->reason, sizeof(p->reason));
    return changed;
}

static void tell(struct pause *p)
{
    event_cb *done = p->done;
    p->done = NULL;
    if (done != NULL)
        done(p->done_arg);
    if (p->on_change != NULL)
        p->on_change(p->arg);
}

/* Again after LOOK_US, a little later where others look; or when the end comes, if that is sooner.
 */
static void wait(struct pause *p)
{
    int64_t at_us = clock_mono_us() + (p->told ? TOLD_US : LOOK_US);
    if (p->lasts && p->parts->pg_clock.known) {
        int64_t end_us = server_clock_to_mono_us(&p->parts->pg_clock, p->record.until_ms * MS_US);
        at_us = end_us < at_us ? end_us : at_us;
    }
    timer_at_us(p->tick, at_us);
}

/* ---- looking ---- */

static void on_restored(void *arg, bool given, const char *error)
{
    (void)arg;
    if (given && error == NULL)
        log_event(LOG_WARN, "Redis had lost what was ordered about a pause: it was written back",
                  LOG_END);
}

static void restore(const struct pause *p, const struct due_pause *seen)
{
    char *record = p->known.paused ? pause_record_make(&p->record) : NULL;
    int64_t left_ms = p->known.paused ? p->record.until_ms - now_ms(p->parts) : 0;
    const struct due_order order = {.seen = seen,
                                    .record = record,
                                    .for_ms = left_ms > 0 ? left_ms : 1,
                                    .number = p->known.order,
                                    .kept_ms = PAUSE_ORDER_KEPT_MS};
    if ((record != NULL || !p->known.paused) &&
        due_queue_order(p->parts->queue, &order, on_restored, NULL) != 0)
        log_event(LOG_DEBUG, "A pause could not be written back yet", LOG_END);
    free(record);
}

/* What Redis has; an unreadable record is none. */
static struct pause_sight read_sight(struct pause *p, const struct due_pause *seen,
                                     struct pause_record *record)
{
    bool any = seen->record.text != NULL && seen->record.len > 0;
    bool readable =
        any && pause_record_read(record, seen->record.text, seen->record.len, now_ms(p->parts));
    if (any && !readable && !p->said_odd)
        log_event(LOG_WARN, "What stands in Redis as a pause is none: it is not obeyed", LOG_STR,
                  "record", seen->record.text, LOG_END);
    p->said_odd = any && !readable;
    return (struct pause_sight){
        .order = pause_order_read(seen->order.text),
        .paused = readable && (!p->parts->pg_clock.known || record->until_ms > now_ms(p->parts)),
    };
}

static void take(struct pause *p, const struct pause_sight *sight,
                 const struct pause_record *record)
{
    bool other = p->lasts && sight->paused && record->until_ms != p->record.until_ms;
    p->known = *sight;
    if (sight->paused)
        p->record = *record;
    if (other)
        say_begun(p);
}

static void see(struct pause *p, const struct due_pause *seen)
{
    struct pause_record record;
    struct pause_sight sight = read_sight(p, seen, &record);
    if (pause_judge(&p->known, &sight, now_ms(p->parts)) == PAUSE_RESTORE)
        restore(p, seen);
    else
        take(p, &sight, &record);
    p->seen = true;
}

/* known: it is, or never will be. */
static void heard(struct pause *p, bool known)
{
    bool news = !p->looked && known;
    p->looked = p->looked || known;
    if (follow(p) || news)
        tell(p);
    wait(p);
}

void pause_told(struct pause *p, const struct due_pause *seen)
{
    if (p == NULL)
        return;
    see(p, seen);
    p->told = true;
    heard(p, true);
}

static void on_look(void *arg, const struct due_pause *seen, const char *error)
{
    struct pause *p = arg;
    p->asked = false;
    if (p->freed) {
        free(p);
        return;
    }
    if (error == NULL)
        see(p, seen);
    else if (p->done != NULL)
        pause_out_of_reach(p);
    heard(p, error == NULL || p->done != NULL);
}

static bool linked(const struct pause *p)
{
    return p->parts->redis != NULL && redis_link_state(p->parts->redis) == REDIS_LINK_UP;
}

static void look(struct pause *p)
{
    p->told = false;
    if (!p->asked && linked(p))
        p->asked = due_queue_paused(p->parts->queue, on_look, p) == 0;
}

static void on_tick(void *arg)
{
    struct pause *p = arg;
    bool changed = follow(p);
    look(p);
    if (p->done != NULL && !p->asked) { /* it has gone away */
        pause_out_of_reach(p);
        p->looked = changed = true;
    }
    wait(p);
    if (changed)
        tell(p);
}

void pause_ordered(struct pause *p, int64_t number, const struct pause_record *record)
{
    const struct pause_sight sight = {.order = number, .paused = record != NULL};
    if (p == NULL)
        return;
    take(p, &sight, record);
    p->seen = true;
    if (follow(p))
        tell(p);
    wait(p);
}

/* ---- the whole ---- */

struct pause *pause_new(struct parts *parts, event_cb *on_change, void *arg)
{
    struct pause *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->parts = parts;
    p->on_change = on_change;
    p->arg = arg;
    p->tick = timer_new(parts->loop, on_tick, p);
    if (p->tick != NULL)
        return p;
    free(p);
    return NULL;
}

void pause_free(struct pause *p)
{
    if (p == NULL)
        return;
    timer_free(p->tick);
    p->tick = NULL;
    p->freed = true;
    if (!p->asked)
        free(p); /* else with Redis's answer */
}

void pause_take_over(struct pause *p, const struct pause *former)
{
    p->known = former->known;
    p->record = former->record;
    p->lasts = former->lasts;
    p->began_us = former->began_us;
    p->ended_us = former->ended_us;
    p->seen = former->seen;
    p->said_unknown = former->said_unknown;
    memcpy(p->reason, former->reason, sizeof(p->reason));
    p->parts->careful = former->parts->careful;
    wait(p);
}

void pause_redis_changed(struct pause *p)
{
    if (parts_degraded(p->parts)) {
        p->looked = false;
        pause_out_of_reach(p);
    }
    look(p);
    wait(p);
}

void pause_ask(struct pause *p, event_cb *done, void *arg)
{
    assert(p->done == NULL);
    p->done = done;
    p->done_arg = arg;
    timer_after_us(p->tick, 0);
}

void pause_out_of_reach(struct pause *p)
{
    if (p == NULL || p->seen || p->said_unknown)
        return;
    p->said_unknown = true;
    log_event(LOG_WARN, "Whether a pause lasts cannot be asked of Redis: releases go on", LOG_END);
}

bool pause_allows(const struct pause *p)
{
    return p == NULL || (!p->lasts && (p->looked || parts_degraded(p->parts)));
}

bool pause_lasts(const struct pause *p)
{
    return p != NULL && p->lasts;
}

const struct pause_record *pause_now(const struct pause *p)
{
    return pause_lasts(p) ? &p->record : NULL;
}

int64_t pause_ended_us(const struct pause *p)
{
    return p != NULL ? p->ended_us : 0;
}

const char *pause_reason(const struct pause *p)
{
    if (pause_allows(p))
        return "";
    return p->lasts ? p->reason : UNHEARD;
}
