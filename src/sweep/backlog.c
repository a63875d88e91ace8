/* Backlog mode: the role, the pass, and the records about both. */
#include "sweep/backlog.h"

#include "base/clock.h"
#include "base/log.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "queue/due_queue.h"
#include "queue/repair.h"
#include "release/parts.h"
#include "release/pass.h"
#include "release/refusals.h"
#include "store/statements.h"
#include "sweep/backlog_plan.h"
#include "sweep/workers.h"

#include <stdlib.h>
#include <string.h>

#define ROLE "backlog"
#define STEPS_MOST 50 /* through `failed`, of about a thousand records each */

struct backlog {
    struct parts *parts;
    struct workers *workers;
    struct pass *pass;
    struct timer *renew;
    struct timer *changed; /* calls on_change on a later turn */
    struct backlog_plan plan;
    char holder[DUE_HOLDER_SIZE];
    bool stopping, abandoned;
    size_t due_left;  /* when it was asked for */
    int steps;        /* through `failed` */
    int64_t began_us; /* monotonic: the pass */
    event_cb *on_change;
    void *arg;
};

static void change(struct backlog *b)
{
    timer_after_us(b->changed, 0);
}

static void on_changed(void *arg)
{
    const struct backlog *b = arg;
    b->on_change(b->arg);
}

/* ---- the end of it ---- */

static void over(struct backlog *b)
{
    backlog_plan_over(&b->plan);
    change(b);
}

static void on_resigned(void *arg, const char *error)
{
    struct backlog *b = arg;
    if (error != NULL)
        log_event(LOG_DEBUG, "The role of backlog mode is left to its lease", LOG_STR, "error",
                  error, LOG_END);
    over(b);
}

static void resign(struct backlog *b)
{
    if (!parts_redis_usable(b->parts) ||
        due_queue_role_release(b->parts->queue, ROLE, b->holder, on_resigned, b) != 0)
        over(b);
}

static void on_pass(void *arg, const struct pass_result *result)
{
    struct backlog *b = arg;
    uint64_t refused = result->failed + result->not_yet + result->deferred;
    int64_t now_us = clock_mono_us();
    log_event(LOG_INFO, "Backlog mode is over", LOG_INT, "releasedCount", (int64_t)result->released,
              LOG_INT, "lockedCount", (int64_t)result->locked, LOG_INT, "refusedCount",
              (int64_t)refused, LOG_INT, "durationMs", (now_us - b->began_us) / MS_US, LOG_STR,
              "error", result->ok ? NULL : result->error, LOG_END);
    timer_clear(b->renew);
    if (b->abandoned)
        return;
    backlog_plan_passed(&b->plan, result->ok, result->released, refused + result->locked, now_us);
    resign(b);
}

/* ---- its role ---- */

static void begin(struct backlog *b)
{
    log_event(LOG_INFO, "Backlog mode: what is due is released straight from Postgres", LOG_INT,
              "dueLeft", (int64_t)b->due_left, LOG_END);
    b->began_us = clock_mono_us();
    pass_run(b->pass, 0, on_pass, b);
    timer_after_us(b->renew, BACKLOG_RENEW_US);
}

/* A pass is one over tables that are known, and its pages come over the first connection. */
static bool can_pass(const struct backlog *b)
{
    return !b->stopping && !pass_running(b->pass) && workers_can_read(b->workers) &&
           statements_ready(b->parts->statements) &&
           mapping_allows_backlog(statements_types(b->parts->statements));
}

/* The role is ours, and cannot be used. */
static void decline(struct backlog *b)
{
    backlog_plan_passed(&b->plan, false, 0, 0, clock_mono_us());
    resign(b);
}

static void walk_failed(struct backlog *b, const char *cursor);

/* What has a record is passed by: it stands in `pending` at its next try, and is claimed then. A
 * row that is refused would fail its slice. */
static void on_failed(void *arg, const char *cursor, const struct due_found *found, size_t n,
                      const char *error)
{
    struct backlog *b = arg;
    bool room = true;
    if (b->abandoned)
        return;
    if (error != NULL || !can_pass(b)) {
        decline(b);
        return;
    }
    for (size_t i = 0; i < n && room; i++)
        if (strlen(found[i].id.text) == found[i].id.len)
            room = refusals_bar(pass_refusals(b->pass), found[i].id.text);
    if (room && strcmp(cursor, "0") != 0 && ++b->steps < STEPS_MOST)
        walk_failed(b, cursor);
    else
        begin(b);
}

static void walk_failed(struct backlog *b, const char *cursor)
{
    if (due_queue_walk(b->parts->queue, DUE_IN_FAILED, cursor, on_failed, b) != 0)
        decline(b);
}

static void on_role(void *arg, bool ours, int64_t remaining_ms, const char *owner,
                    const char *error)
{
    struct backlog *b = arg;
    bool asked = b->plan.state == BACKLOG_ASKING;
    (void)owner;
    if (!asked && b->plan.state != BACKLOG_ON)
        return; /* a renewal that came too late */
    bool goes_on =
        backlog_plan_role(&b->plan, error == NULL, ours, remaining_ms * MS_US, clock_mono_us());
    if (!goes_on && !asked) {
        pass_stop(b->pass); /* it was taken over, or Redis is gone */
    } else if (goes_on && asked) {
        if (can_pass(b)) {
            b->steps = 0;
            refusals_clear(pass_refusals(b->pass));
            walk_failed(b, "0");
        } else {
            decline(b);
        }
    } else if (asked) {
        change(b);
    }
}

static int ask(struct backlog *b)
{
    return due_queue_role(b->parts->queue, ROLE, b->holder, BACKLOG_TTL_US / MS_US, on_role, b);
}

static void on_renew(void *arg)
{
    struct backlog *b = arg;
    if (backlog_plan_renews(&b->plan, pass_heard_us(b->pass), clock_mono_us()) && ask(b) != 0)
        pass_stop(b->pass);
    timer_after_us(b->renew, BACKLOG_RENEW_US);
}

/* ---- the whole ---- */

struct backlog *backlog_new(struct parts *parts, struct workers *workers, event_cb *on_change,
                            void *arg)
{
    struct backlog *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    int n;
    struct pg_link *const *links = workers_links(workers, &n);
    const struct pass_options options = {
        .parts = parts, .links = links, .nlinks = n, .shared = workers_engine(workers)};
    b->parts = parts;
    b->workers = workers;
    b->on_change = on_change;
    b->arg = arg;
    due_holder_name(b->holder);
    b->pass = pass_new(&options);
    b->renew = timer_new(parts->loop, on_renew, b);
    b->changed = timer_new(parts->loop, on_changed, b);
    if (b->pass != NULL && b->renew != NULL && b->changed != NULL)
        return b;
    backlog_free(b);
    return NULL;
}

void backlog_free(struct backlog *b)
{
    if (b == NULL)
        return;
    pass_free(b->pass);
    timer_free(b->renew);
    timer_free(b->changed);
    free(b);
}

void backlog_claimed(struct backlog *b, bool full, size_t due_left)
{
    if (!can_pass(b) || !backlog_plan_claimed(&b->plan, full, due_left, clock_mono_us()))
        return;
    b->due_left = due_left;
    if (ask(b) != 0)
        backlog_plan_over(&b->plan);
}

bool backlog_may_claim(struct backlog *b, int64_t *wake_us)
{
    return backlog_plan_may_claim(&b->plan, clock_mono_us(), wake_us);
}

void backlog_redis_changed(struct backlog *b)
{
    if (b->plan.state == BACKLOG_ON && !parts_redis_usable(b->parts))
        pass_stop(b->pass);
}

void backlog_stop(struct backlog *b)
{
    b->stopping = true;
    if (b->plan.state == BACKLOG_ON)
        pass_stop(b->pass);
}

void backlog_abandon(struct backlog *b)
{
    b->abandoned = true;
    backlog_plan_over(&b->plan);
}

bool backlog_idle(const struct backlog *b)
{
    return b->plan.state == BACKLOG_OFF || b->plan.state == BACKLOG_RESTING;
}
