/* Decides when the next claim is made. Every event ends in poke(), which looks at everything anew:
 * whether a claim is under way, Redis usable, a lane there for what it would bring (pace_has_room),
 * and whether its time has come (pace_next_us). One claim at a time, whatever the number of lanes:
 * its answer says when the next is due. In backlog mode (backlog.h) there are none.
 *
 * What a batch became need not be told at once when a claim follows in a moment: the settlement is
 * held for it, and both are written, read and answered at once. It is in Redis before the claim, so
 * what it puts back is met by that. A lease of seconds bears the milliseconds; what is lost
 * meanwhile is what a lost answer loses: nothing, since the lease covers it. */
#include "sweep/sweeper.h"

#include "config/config.h"
#include "link/loop.h"
#include "link/redis_link.h"
#include "release/engine.h"
#include "release/first_run.h"
#include "release/parts.h"
#include "release/pause.h"
#include "sweep/backlog.h"
#include "sweep/claims.h"
#include "sweep/kept_walk.h"
#include "sweep/pace.h"
#include "sweep/workers.h"

#include <stdlib.h>

#define HOLD_US (5 * MS_US) /* a settlement waits so long for a claim, and no longer */
#define HOLD_MORE_US MS_US  /* ... that is a little late itself */

struct sweeper {
    struct parts *parts;
    struct workers *workers;
    struct engine *engine; /* theirs */
    struct claims *claims;
    struct backlog *backlog;
    struct kept_walk *kept_walk;
    struct pace pace;
    struct timer *wake;
    struct timer *stopped; /* delivers `done` on a later turn */
    bool asked;            /* a claim has no answer yet */
    bool stopping;
    event_cb *done;
    void *done_arg;
};

static void check_stopped(struct sweeper *s)
{
    if (s->done != NULL && claims_idle(s->claims) && backlog_idle(s->backlog))
        timer_after_us(s->stopped, 0);
}

static void on_stopped(void *arg)
{
    struct sweeper *s = arg;
    event_cb *done = s->done;
    s->done = NULL;
    if (done != NULL)
        done(s->done_arg);
}

/* The monotonic moment at which the earliest score known is due. */
static int64_t due_us(const struct sweeper *s)
{
    if (s->pace.next_ms > INT64_MAX / MS_US)
        return INT64_MAX;
    return server_clock_to_mono_us(&s->parts->pg_clock, s->pace.next_ms * MS_US);
}

static bool has_room(const struct sweeper *s)
{
    return s->parts->pg_clock.known &&
           pace_has_room(&s->pace, engine_idle(s->engine), engine_usable(s->engine),
                         claims_waiting(s->claims));
}

static void poke(struct sweeper *s)
{
    timer_clear(s->wake);
    if (s->stopping) {
        check_stopped(s);
        return;
    }
    (void)pace_expect(&s->pace, claims_put_back_ms(s->claims));
    if (s->asked || !parts_redis_usable(s->parts) || !has_room(s) ||
        !first_run_may_release(s->parts->first_run))
        return; /* poked again when that is otherwise */
    int64_t wake_us;
    int64_t at_us = pace_next_us(&s->pace, due_us(s));
    int64_t now_us = clock_mono_us();
    if (!backlog_may_claim(s->backlog, &wake_us)) {
        if (wake_us != INT64_MAX)
            timer_at_us(s->wake, wake_us);
        return;
    }
    if (at_us > now_us) {
        timer_at_us(s->wake, at_us);
        if (at_us - now_us <= HOLD_US)
            redis_link_hold(s->parts->redis, at_us + HOLD_MORE_US);
        return;
    }
    pace_asked(&s->pace, now_us);
    s->asked = claims_ask(s->claims) == 0;
    if (!s->asked)
        timer_after_us(s->wake, PACE_AFTER_ERROR_US);
}

static void on_wake(void *arg)
{
    struct sweeper *s = arg;
    workers_follow_postgres(s->workers); /* those that are not used would stay */
    poke(s);
}

/* Lanes have come free, or are of no use any more. What no lane can release goes back. */
static void on_change(void *arg)
{
    struct sweeper *s = arg;
    if (s->backlog == NULL)
        return;
    if (engine_usable(s->engine) == 0)
        claims_hand_back(s->claims);
    poke(s);
}

static void on_claimed(void *arg, const struct claim_result *result)
{
    struct sweeper *s = arg;
    s->asked = false;
    if (s->stopping)
        claims_hand_back(s->claims);
    if (result->ok)
        pace_claimed(&s->pace, result->n, result->asked, result->next_ms);
    else
        pace_failed(&s->pace, clock_mono_us());
    s->parts->backlog = s->pace.backlog;
    bool full = result->n >= result->asked;
    if (result->ok && !full && !pause_lasts(s->parts->pause))
        s->parts->careful = false; /* what a pause has left is done */
    if (result->ok)
        backlog_claimed(s->backlog, full && !s->parts->careful, result->due_left);
    poke(s);
}

static void on_backlog(void *arg)
{
    poke(arg);
}

static void on_settled(void *arg)
{
    poke(arg);
}

struct sweeper *sweeper_new(struct parts *parts)
{
    struct sweeper *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    const struct claims_events events = {on_claimed, on_settled, s};
    s->parts = parts;
    pace_init(&s->pace, parts->config->max_sleep_us, parts->config->pace_us);
    s->wake = timer_new(parts->loop, on_wake, s);
    s->stopped = timer_new(parts->loop, on_stopped, s);
    s->workers = workers_new(parts, on_change, s);
    if (s->workers != NULL) {
        s->engine = workers_engine(s->workers);
        s->claims = claims_new(parts, s->engine, &events);
    }
    if (s->claims != NULL) /* which is asked first by the lanes */
        s->backlog = backlog_new(parts, s->workers, on_backlog, s);
    s->kept_walk = kept_walk_new(parts);
    if (s->wake == NULL || s->stopped == NULL || s->backlog == NULL || s->kept_walk == NULL) {
        sweeper_free(s);
        return NULL;
    }
    return s;
}

void sweeper_disconnect(struct sweeper *s)
{
    if (s != NULL && s->workers != NULL)
        workers_disconnect(s->workers);
}

void sweeper_free(struct sweeper *s)
{
    if (s == NULL)
        return;
    sweeper_disconnect(s);
    kept_walk_free(s->kept_walk);
    backlog_free(s->backlog);
    claims_free(s->claims);
    workers_free(s->workers);
    timer_free(s->wake);
    timer_free(s->stopped);
    free(s);
}

void sweeper_start(struct sweeper *s)
{
    workers_start(s->workers);
}

struct engine *sweeper_engine(const struct sweeper *s)
{
    return s->engine;
}

void sweeper_redis_changed(struct sweeper *s)
{
    pace_redis_changed(&s->pace);
    backlog_redis_changed(s->backlog);
    s->parts->backlog = s->pace.backlog;
    poke(s);
}

void sweeper_look_again(struct sweeper *s)
{
    engine_poke(s->engine);
}

void sweeper_expect(struct sweeper *s, int64_t at_ms)
{
    if (pace_expect(&s->pace, at_ms))
        poke(s);
}

void sweeper_stop(struct sweeper *s, event_cb *done, void *arg)
{
    s->stopping = true;
    s->done = done;
    s->done_arg = arg;
    claims_hand_back(s->claims);
    backlog_stop(s->backlog);
    poke(s);
}

void sweeper_abandon(struct sweeper *s)
{
    claims_abandon(s->claims);
    backlog_abandon(s->backlog);
    poke(s); /* no answer follows where nothing could be sent */
}

bool sweeper_postgres_up(const struct sweeper *s)
{
    return workers_up(s->workers);
}

uint64_t sweeper_postgres_reconnects(const struct sweeper *s)
{
    return workers_reconnects(s->workers);
}

const char *sweeper_postgres_error(const struct sweeper *s)
{
    return workers_error(s->workers);
}
