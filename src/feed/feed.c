/* The feed: keeps the due queue true to Postgres, and releases without it while it cannot be used.
 *
 * It does one thing at a time, over one connection: read the catalog, ask once what is due at the
 * start (release/first_run.h), ask Redis for the feeder's role, poll, or release straight from
 * Postgres. Which is next is feed_plan.c's to say, of wake-ups with a reason each; poke() asks it,
 * and starts what it says. Every event (an answer, a timer, a server that comes or goes) changes
 * the plan, and then pokes.
 *
 * The parts: poll.c reads Postgres page by page and mirrors each page (mirror.c); direct.c runs the
 * passes; overdue.c judges what the polls find late, and names what nothing in Redis leads to,
 * which is mirrored at once (on_lost); data_loss.c notices that Redis has been emptied.
 *
 * What must hold:
 * - What has begun ends in a callback, exactly once, which tells the plan; poke() does nothing
 *   meanwhile. It may end while poke() starts it, so that what follows begins on the next turn.
 * - After feed_stop nothing is begun but giving the role back; what is under way ends first. */
#include "feed/feed.h"

#include "base/callback.h"
#include "base/log.h"
#include "base/outage.h"
#include "config/config.h"
#include "feed/data_loss.h"
#include "feed/direct.h"
#include "feed/failing.h"
#include "feed/feed_private.h"
#include "feed/feeder.h"
#include "feed/lost.h"
#include "feed/overdue.h"
#include "feed/poll.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "queue/redis_use.h"
#include "release/drain.h"
#include "release/first_run.h"
#include "release/parts.h"
#include "release/pause.h"
#include "store/pg_watch.h"
#include "store/statements.h"

#include <assert.h>
#include <stdlib.h>

#define RENEW_GAP_US (5 * SECOND_US) /* however often others are lost, or a pooler moves */

/* What was under way is over, as the plan knows. */
static void go_on(struct feed *f)
{
    assert(f->plan.doing == FEED_IDLE);
    timer_after_us(f->wake, 0); /* not from here: it may have ended while poke started it */
}

/* unexplained: no server is known to be out of reach or to refuse, which has records of its own. */
static void note_failure(struct feed *f, const char *message, const char *error, bool unexplained)
{
    overdue_failed(f->overdue, error);
    failing_note(&f->failing, message, error, unexplained && pg_link_up(f->link));
}

static void on_pass(void *arg, const struct drain_result *result)
{
    struct feed *f = arg;
    if (result->paused)
        feed_plan_paused(&f->plan, clock_mono_us());
    else
        feed_plan_passed(&f->plan, result->ok, clock_mono_us());
    if (result->ok) {
        failing_over(&f->failing);
    } else if (!result->paused) {
        note_failure(f, "A direct pass over Postgres failed", result->error, !result->lost);
        direct_note(f->direct);
    }
    go_on(f);
}

static void on_catalog(void *arg, const char *error)
{
    struct feed *f = arg;
    (void)error; /* of the tables the note tells, of the connection its own record */
    feed_plan_idle(&f->plan);
    parts_note_catalog(f->parts);
    if (!f->closed)
        f->events.on_statements(f->events.arg);
    go_on(f);
}

static void start_catalog(struct feed *f)
{
    if (statements_load(f->parts->statements, f->link, &f->parts->pg_clock, on_catalog, f) == 0)
        return;
    feed_plan_idle(&f->plan);
    timer_after_us(f->wake, FEED_RETRY_US);
}

/* What waited for it goes on, too. */
static void on_first_run(void *arg)
{
    struct feed *f = arg;
    bool may = first_run_may_release(f->first_run);
    feed_plan_first(&f->plan, first_run_wants_again(f->first_run), !may, clock_mono_us());
    if (may && !f->closed)
        f->events.on_statements(f->events.arg);
    go_on(f);
}

static void note_poll_failure(struct feed *f, const char *error)
{
    note_failure(f, "The feed's look failed", error, parts_redis_usable(f->parts));
    go_on(f);
}

static void on_polled(void *arg, int64_t began_us, const char *error)
{
    struct feed *f = arg;
    if (error != NULL) {
        feed_plan_poll_failed(&f->plan, clock_mono_us());
        note_poll_failure(f, error);
        return;
    }
    feed_plan_polled(&f->plan, began_us, clock_mono_us());
    f->last_success_us = server_clock_now_us(&f->parts->pg_clock);
    failing_over(&f->failing);
    go_on(f);
}

static void start_poll(struct feed *f)
{
    const char *error = poll_start(f->poll, f->plan.kind, feed_plan_from_us(&f->plan));
    if (error != NULL)
        on_polled(f, 0, error);
}

static void on_role(void *arg, bool ours, const char *error)
{
    struct feed *f = arg;
    int64_t now_us = clock_mono_us();
    if (error != NULL) {
        feed_plan_role_failed(&f->plan, now_us);
        note_poll_failure(f, error);
        return;
    }
    if (feed_plan_due(&f->plan, WAKEUP_SCAN, now_us))
        statements_doubt(f->parts->statements);
    if (feed_plan_role(&f->plan, ours, now_us))
        start_poll(f);
    else
        go_on(f);
}

static void on_resigned(void *arg)
{
    struct feed *f = arg;
    feed_plan_idle(&f->plan);
    go_on(f);
}

/* Starts what is to be done now, or waits for the time to ask again. */
static void poke(struct feed *f)
{
    timer_clear(f->wake);
    if (f->plan.stopping && f->done == NULL)
        return;
    int64_t wake_us;
    struct feed_sight sight = feed_sight_now(f);
    enum feed_step step = feed_plan_next(&f->plan, &sight, &wake_us);
    if (step != STEP_WAIT && step != STEP_STOPPED)
        feed_plan_begin(&f->plan, step, sight.now_us);
    switch (step) {
    case STEP_WAIT:
        if (wake_us != FEED_NEVER)
            timer_at_us(f->wake, wake_us);
        break;
    case STEP_CATALOG:
        start_catalog(f);
        break;
    case STEP_FIRST:
        first_run_ask(f->first_run, f->link, on_first_run, f);
        break;
    case STEP_PASS:
        direct_run(f->direct, 0, on_pass, f);
        break;
    case STEP_CLAIMS:
        direct_run(f->direct, FEED_UNANSWERED_US, on_pass, f);
        break;
    case STEP_ROLE:
        feeder_ask(f->feeder);
        break;
    case STEP_POLL_FULL:
    case STEP_POLL_AGAIN:
        start_poll(f);
        break;
    case STEP_RESIGN:
        feeder_resign(f->feeder);
        break;
    case STEP_STOPPED:
        timer_after_us(f->stopped, 0);
        break;
    }
}

static void on_poke(void *arg)
{
    poke(arg);
}

static void on_mirrored(void *arg, int64_t earliest_ms)
{
    struct feed *f = arg;
    if (!f->plan.stopping)
        f->events.on_mirrored(f->events.arg, earliest_ms);
}

/* A poll found them late, and no entry leads to them. */
static bool on_lost(void *arg, const struct late_row *const *rows, size_t n)
{
    struct feed *f = arg;
    int64_t now_us = clock_mono_us();
    bool too_long = false;
    if (f->plan.stopping || !parts_redis_usable(f->parts) || lost_busy(f->lost))
        return false;
    if (feed_plan_lost(&f->plan, n, now_us))
        return true;
    bool told = lost_tell(f->lost, rows, n, &too_long);
    if (too_long)
        feed_plan_long_ids(&f->plan, now_us);
    return told;
}

static void on_pg_state(void *arg, bool up, const char *reason)
{
    struct feed *f = arg;
    pg_watch_link(f->parts->pg_watch, PG_WATCH_FEED, up, reason);
    feed_plan_postgres(&f->plan, up, clock_mono_us());
    if (up) {
        statements_doubt(f->parts->statements);
        poke(f);
    }
}

/* Whatever a crash has undone, or a standby never had, this link would not learn of it: so it is
 * made anew, or does at least what it would do then. */
static void on_slept(void *arg)
{
    struct feed *f = arg;
    int64_t now_us = clock_mono_us();
    if (f->plan.stopping || (f->renewed_us != 0 && now_us - f->renewed_us < RENEW_GAP_US))
        return;
    f->renewed_us = now_us;
    if (pg_link_busy(f->link))
        feed_plan_postgres(&f->plan, true, now_us);
    else
        pg_link_renew(f->link, "another connection was lost, so that this one may be dead");
}

/* Its own connection is of the same pooler, and no better for being made anew. */
static void on_moved(void *arg)
{
    struct feed *f = arg;
    int64_t now_us = clock_mono_us();
    if (f->plan.stopping || (f->moved_us != 0 && now_us - f->moved_us < RENEW_GAP_US))
        return;
    f->moved_us = now_us;
    log_event(LOG_INFO, "Another Postgres is behind the same connection", LOG_END);
    feed_plan_postgres(&f->plan, true, now_us);
    if (f->plan.doing == FEED_IDLE)
        go_on(f);
}

static void on_stopped(void *arg)
{
    struct feed *f = arg;
    event_cb *done = f->done;
    f->done = NULL;
    if (done != NULL)
        done(f->done_arg);
}

static void on_data_lost(void *arg)
{
    struct feed *f = arg;
    feed_plan_data_lost(&f->plan, clock_mono_us());
    poke(f);
}

static int make_parts(struct feed *f, struct engine *lanes)
{
    struct parts *parts = f->parts;
    const struct pg_link_options link = {
        .source = parts->postgres,
        .prepare = parts->config->prepare,
        .application_name = "reservation-sweeper feed",
        .on_state = on_pg_state,
        .arg = f,
    };
    const struct overdue_options overdue = {
        .confirm = true, .on_decided = on_poke, .on_lost = on_lost, .arg = f};
    const struct feeder_options feeder = {.interval_us = f->plan.interval_us,
                                          .on_role = on_role,
                                          .on_resigned = on_resigned,
                                          .arg = f};
    f->link = pg_link_new(parts->loop, &link);
    f->wake = timer_new(parts->loop, on_poke, f);
    f->stopped = timer_new(parts->loop, on_stopped, f);
    f->data_loss = data_loss_new(parts, on_data_lost, f);
    f->overdue = overdue_new(parts, &overdue);
    f->lost = lost_new(parts, on_mirrored, f);
    f->feeder = feeder_new(parts, &feeder);
    f->first_run = parts->first_run = first_run_new(parts, false);
    if (f->link == NULL || f->wake == NULL || f->stopped == NULL || f->data_loss == NULL ||
        f->overdue == NULL || f->lost == NULL || f->feeder == NULL || f->first_run == NULL)
        return -1;
    const struct poll_options poll = {
        .overdue = f->overdue, .on_mirrored = on_mirrored, .on_done = on_polled, .arg = f};
    f->poll = poll_new(parts, f->link, &poll);
    f->direct = direct_new(parts, f->link, lanes, f->overdue);
    return f->poll == NULL || f->direct == NULL ? -1 : 0;
}

struct feed *feed_new(struct parts *parts, struct engine *lanes, const struct feed_events *events)
{
    struct feed *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    const struct config *c = parts->config;
    f->parts = parts;
    f->events = *events;
    pg_watch_on_loss(parts->pg_watch, on_slept, on_moved, f);
    feed_plan_init(&f->plan, c->feed_interval_us, c->scan_interval_us, c->lookahead_us > 0);
    if (make_parts(f, lanes) != 0) {
        feed_free(f);
        return NULL;
    }
    return f;
}

void feed_free(struct feed *f)
{
    if (f == NULL)
        return;
    f->plan.stopping = f->closed = true;
    f->done = NULL;
    pg_watch_on_loss(f->parts->pg_watch, NULL, NULL, NULL);
    pg_link_free(f->link);
    direct_free(f->direct);
    poll_free(f->poll);
    overdue_free(f->overdue);
    timer_free(f->wake);
    timer_free(f->stopped);
    data_loss_free(f->data_loss);
    lost_free(f->lost);
    feeder_free(f->feeder);
    f->parts->first_run = NULL;
    first_run_free(f->first_run);
    free(f);
}

void feed_start(struct feed *f)
{
    pg_link_start(f->link);
}

void feed_redis_changed(struct feed *f)
{
    overdue_redis_changed(f->overdue);
    data_loss_redis_changed(f->data_loss);
    if (parts_redis_usable(f->parts))
        feed_plan_redis_usable(&f->plan, first_run_wants_redis(f->first_run),
                               redis_use_moved(f->parts->redis_use), clock_mono_us());
    poke(f);
}

void feed_pause_changed(struct feed *f)
{
    bool paused = pause_lasts(f->parts->pause);
    if (f->paused && !paused) { /* nothing should have been released before now */
        overdue_note(f->overdue, 0, "", clock_mono_us());
        overdue_redis_changed(f->overdue);
    }
    f->paused = paused;
    poke(f);
}

void feed_stop(struct feed *f, event_cb *done, void *arg)
{
    f->plan.stopping = true;
    f->done = done;
    f->done_arg = arg;
    direct_stop(f->direct);
    poll_stop(f->poll);
    poke(f);
}
