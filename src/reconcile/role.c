/* The role: a leased key in Redis, so that two reconciliations never run at once, wherever they
 * run. */
#include "base/clock.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "reconcile/reconcile_private.h"
#include "release/parts.h"

#include <stdio.h>
#include <unistd.h>

/* Short, so that a run that was killed does not keep the next one waiting; renewed in time, so that
 * one that is alive can be told from it. */
#define ROLE "reconciler"
#define ROLE_TTL_MS 6000
#define ROLE_RENEW_US (1500 * MS_US)
#define ROLE_WATCH_US (2500 * MS_US)

static void held_by(struct reconcile *r, const char *owner)
{
    char error[300];
    snprintf(error, sizeof(error), "another reconciliation is running, at %s", owner);
    r->result.held = true;
    run_fail(r, error);
}

/* A lease that was renewed since we looked belongs to a run that is alive; another one's end can be
 * waited for. */
static void wait_for_role(struct reconcile *r, int64_t remaining_ms, const char *owner)
{
    int64_t before_ms = r->role_remaining_ms;
    r->role_remaining_ms = remaining_ms;
    if (before_ms > 0 && remaining_ms > before_ms - ROLE_WATCH_US / MS_US / 2) {
        held_by(r, owner);
        return;
    }
    int64_t wait_us = (remaining_ms + 10) * MS_US;
    timer_after_us(r->renew, wait_us < ROLE_WATCH_US ? wait_us : ROLE_WATCH_US);
}

static void on_role(void *arg, bool held, int64_t remaining_ms, const char *owner,
                    const char *error)
{
    struct reconcile *r = arg;
    r->role_asked = false;
    if (!run_answered(r, error))
        return;
    if (!held) {
        if (r->has_role)
            held_by(r, owner);
        else
            wait_for_role(r, remaining_ms, owner);
        return;
    }
    timer_after_us(r->renew, ROLE_RENEW_US);
    if (!r->has_role) {
        r->has_role = true;
        reconcile_begin(r);
    }
}

static void ask_role(struct reconcile *r)
{
    r->role_asked = true;
    run_sent(r, due_queue_role(r->parts->queue, ROLE, r->holder, ROLE_TTL_MS, on_role, r));
}

/* host:pid, and what tells two runs of one process apart. */
static void name_holder(struct reconcile *r)
{
    char host[128] = "unknown";
    (void)gethostname(host, sizeof(host) - 1);
    snprintf(r->holder, sizeof(r->holder), "%s:%ld:%lld", host, (long)getpid(),
             (long long)(clock_mono_us() % 1000000000));
}

void role_start(struct reconcile *r)
{
    name_holder(r);
    timer_after_us(r->renew, 0);
}

void role_renew(struct reconcile *r)
{
    if (!r->ending && !r->role_asked)
        ask_role(r);
}

static void on_given_up(void *arg, const char *error)
{
    struct reconcile *r = arg;
    (void)error; /* then the lease ends by itself */
    (void)run_answered(r, NULL);
}

bool role_stop(struct reconcile *r)
{
    bool had_role = r->has_role;
    timer_clear(r->renew);
    r->has_role = false;
    if (!had_role || due_queue_role_release(r->parts->queue, ROLE, r->holder, on_given_up, r) != 0)
        return true;
    r->outstanding++;
    return false;
}
