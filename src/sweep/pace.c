/* When the next claim is made. */
#include "sweep/pace.h"

#include <assert.h>

#define LONG_AGO_US (INT64_MIN / 2)

void pace_init(struct pace *p, int64_t max_sleep_us, int64_t pace_us)
{
    assert(max_sleep_us > 0 && pace_us >= 0);
    *p = (struct pace){
        .max_sleep_us = max_sleep_us,
        .pace_us = pace_us,
        .next_ms = INT64_MAX,
        .asked_us = LONG_AGO_US,
        .started_us = LONG_AGO_US,
        .not_before_us = LONG_AGO_US,
    };
}

void pace_redis_changed(struct pace *p)
{
    p->next_ms = INT64_MAX;
    p->backlog = false;
    p->asked_us = LONG_AGO_US;
}

void pace_asked(struct pace *p, int64_t now_us)
{
    p->asked_us = now_us;
}

void pace_claimed(struct pace *p, size_t n, size_t asked, int64_t next_ms)
{
    assert(asked > 0);
    p->backlog = n >= asked;
    p->next_ms = next_ms;
    if (n > 0)
        p->started_us = p->asked_us;
}

void pace_failed(struct pace *p, int64_t now_us)
{
    p->backlog = false;
    p->next_ms = INT64_MAX;
    p->not_before_us = now_us + PACE_AFTER_ERROR_US;
}

bool pace_expect(struct pace *p, int64_t at_ms)
{
    if (at_ms >= p->next_ms)
        return false;
    p->next_ms = at_ms;
    return true;
}

int64_t pace_next_us(const struct pace *p, int64_t due_us)
{
    int64_t at_us = p->asked_us + p->max_sleep_us;
    int64_t paced_us = p->started_us + p->pace_us;
    if (due_us < at_us)
        at_us = due_us;
    if (at_us < paced_us)
        at_us = paced_us;
    if (p->backlog) /* a full batch is waiting already */
        at_us = LONG_AGO_US;
    return at_us > p->not_before_us ? at_us : p->not_before_us;
}

bool pace_has_room(const struct pace *p, int idle, int usable, int waiting)
{
    assert(0 <= idle && idle <= usable && waiting >= 0);
    return waiting < idle || (p->backlog && waiting < usable);
}
