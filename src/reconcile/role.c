/* The role of a reconciliation. */
#include "reconcile/role.h"

#include "base/time_units.h"
#include "link/loop.h"
#include "queue/due_queue.h"
#include "reconcile/run.h"
#include "release/parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Short, so that a run that was killed does not keep the next one waiting; renewed in time, so that
 * one that is alive can be told from it. */
#define ROLE "reconciler"
#define ROLE_TTL_MS (6 * SECOND_MS)
#define ROLE_RENEW_US (1500 * MS_US)
#define ROLE_WATCH_US (2500 * MS_US)

struct role {
    struct timer *renew;
    char name[DUE_HOLDER_SIZE]; /* of this run */
    bool ours, asked;
    int64_t remaining_ms; /* of the other's lease, when we last asked; 0: nobody has had it */
    void (*taken)(struct reconcile *r);
};

static void fail_taken(struct reconcile *r, const char *owner)
{
    char error[300];
    snprintf(error, sizeof(error), "another reconciliation is running, at %s", owner);
    r->result.taken = true;
    run_fail(r, error);
}

/* A lease that was renewed since we asked belongs to a run that is alive; another one's end can be
 * waited for. */
static void wait_for_role(struct reconcile *r, int64_t remaining_ms, const char *owner)
{
    struct role *role = r->role;
    int64_t before_ms = role->remaining_ms;
    role->remaining_ms = remaining_ms;
    if (before_ms > 0 && remaining_ms > before_ms - ROLE_WATCH_US / MS_US / 2) {
        fail_taken(r, owner);
        return;
    }
    int64_t wait_us = (remaining_ms + 10) * MS_US;
    timer_after_us(role->renew, wait_us < ROLE_WATCH_US ? wait_us : ROLE_WATCH_US);
}

static void on_role(void *arg, bool ours, int64_t remaining_ms, const char *owner,
                    const char *error)
{
    struct reconcile *r = arg;
    if (!run_answered(r, error))
        return;
    struct role *role = r->role;
    role->asked = false;
    if (!ours) {
        if (role->ours)
            fail_taken(r, owner);
        else
            wait_for_role(r, remaining_ms, owner);
        return;
    }
    timer_after_us(role->renew, ROLE_RENEW_US);
    if (!role->ours) {
        role->ours = true;
        role->taken(r);
    }
}

static void on_renew(void *arg)
{
    struct reconcile *r = arg;
    struct role *role = r->role;
    if (run_ending(r) || role->asked)
        return;
    role->asked = true;
    run_sent(r, due_queue_role(r->parts->queue, ROLE, role->name, ROLE_TTL_MS, on_role, r));
}

int role_new(struct reconcile *r, void (*taken)(struct reconcile *r))
{
    r->role = calloc(1, sizeof(*r->role));
    if (r->role == NULL)
        return -1;
    r->role->taken = taken;
    r->role->renew = timer_new(r->parts->loop, on_renew, r);
    return r->role->renew != NULL ? 0 : -1;
}

void role_free(struct role *role)
{
    if (role == NULL)
        return;
    timer_free(role->renew);
    free(role);
}

void role_start(struct reconcile *r)
{
    due_holder_name(r->role->name);
    timer_after_us(r->role->renew, 0);
}

bool role_is_ours(const struct reconcile *r)
{
    return r->role->ours;
}

static void on_given_up(void *arg, const char *error)
{
    (void)error; /* then the lease ends by itself */
    (void)!run_answered(arg, NULL);
}

bool role_stop(struct reconcile *r)
{
    struct role *role = r->role;
    bool had_role = role->ours;
    timer_clear(role->renew);
    role->ours = false;
    if (!had_role || due_queue_role_release(r->parts->queue, ROLE, role->name, on_given_up, r) != 0)
        return true;
    run_sent(r, 0);
    return false;
}
