/* When backlog mode is entered and left. */
#include "sweep/backlog_plan.h"

#include <assert.h>

bool backlog_plan_claimed(struct backlog_plan *p, bool full, size_t due_left, int64_t now_us)
{
    if (p->state != BACKLOG_OFF || !full || due_left <= BACKLOG_MIN || now_us < p->not_before_us)
        return false;
    p->state = BACKLOG_ASKING;
    return true;
}

bool backlog_plan_role(struct backlog_plan *p, bool ok, bool ours, int64_t remaining_us,
                       int64_t now_us)
{
    if (p->state == BACKLOG_ON)
        return ok && ours;
    assert(p->state == BACKLOG_ASKING);
    if (!ok) {
        p->state = BACKLOG_OFF;
    } else if (ours) {
        p->state = BACKLOG_ON;
        p->renewed_us = now_us;
    } else {
        p->state = BACKLOG_RESTING;
        p->rest_end_us = now_us + (remaining_us < BACKLOG_REST_US ? remaining_us : BACKLOG_REST_US);
    }
    return p->state == BACKLOG_ON;
}

bool backlog_plan_may_claim(struct backlog_plan *p, int64_t now_us, int64_t *wake_us)
{
    *wake_us = INT64_MAX;
    if (p->state == BACKLOG_RESTING && now_us >= p->rest_end_us)
        p->state = BACKLOG_OFF;
    if (p->state == BACKLOG_RESTING)
        *wake_us = p->rest_end_us;
    return p->state == BACKLOG_OFF;
}

bool backlog_plan_renews(struct backlog_plan *p, int64_t heard_us, int64_t now_us)
{
    if (p->state != BACKLOG_ON || heard_us < p->renewed_us ||
        now_us < p->renewed_us + BACKLOG_RENEW_US)
        return false;
    p->renewed_us = now_us;
    return true;
}

void backlog_plan_passed(struct backlog_plan *p, bool ok, uint64_t released, uint64_t left,
                         int64_t now_us)
{
    assert(p->state == BACKLOG_ON);
    p->state = BACKLOG_ENDING;
    if (!ok || released < left || released < BACKLOG_WORTH)
        p->not_before_us = now_us + BACKLOG_AGAIN_US;
}

void backlog_plan_over(struct backlog_plan *p)
{
    p->state = BACKLOG_OFF;
}
