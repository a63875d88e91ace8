/* What the feed does next: see the head of feed_plan.h, and the table below.
 *
 * What must hold:
 * - After each connect to Postgres and each moment from which Redis can be used, a full poll is
 *   made, by every sweeper, and is wanted until one has come to its end: nobody knows what was
 *   missed. A poll of another kind that ends meanwhile does not put it off; hence a wake-up of its
 *   own.
 * - A feeder that has just taken the role begins with a full poll: the one before may have died in
 *   the middle of its own.
 * - A wake-up that is due is acted on, and what acts on it moves it or clears it. One that stayed
 *   due would be a loop that never rests: so whoever has not the role puts the scan off as well.
 * - After a reconnect to Redis, and after a loss of its data, a pass follows the full poll: a claim
 *   whose answer was lost lies under a lease and nobody works on it. */
#include "feed/feed_plan.h"

#include "release/pages.h"

#include <assert.h>

#define USABLE (1U << FEED_REDIS_USABLE)
#define DEGRADED (1U << FEED_REDIS_DEGRADED)
#define ANY (USABLE | DEGRADED | 1U << FEED_REDIS_UNHEARD)

/* What a wake-up that is due leads to. `redis`: in which of its states. `unready`: without
 * statements too. `first`: while it is wanted, even at a later time, nothing below it is begun. */
static const struct {
    enum feed_step step;
    unsigned redis;
    bool unready, first;
} rules[NUM_WAKEUPS] = {
    /* statements.h says when: after a reconnect, a failed statement, and now and then. */
    [WAKEUP_CATALOG] = {.step = STEP_CATALOG, .redis = ANY, .unready = true},
    /* Once, before anything is released; Redis may know that this queue was accepted before. */
    [WAKEUP_FIRST] = {.step = STEP_FIRST, .redis = USABLE | DEGRADED, .first = true},
    /* Direct mode. Its time is kept while Redis is used: due at once when it is not any more. */
    [WAKEUP_DIRECT] = {.step = STEP_PASS, .redis = DEGRADED},
    /* Something may have been missed. */
    [WAKEUP_FULL] = {.step = STEP_POLL_FULL, .redis = USABLE, .first = true},
    /* Claims whose answer was lost; ids that Redis cannot hold. */
    [WAKEUP_CLAIMS] = {.step = STEP_CLAIMS, .redis = USABLE},
    /* Every interval, for Postgres's clock and what is late; the feeder mirrors too. */
    [WAKEUP_REGULAR] = {.step = STEP_ROLE, .redis = USABLE},
    /* The feeder's poll is to be a full one. */
    [WAKEUP_SCAN] = {.step = STEP_ROLE, .redis = USABLE},
    /* Something seemed late, or it has not been asked for a while (overdue.h). */
    [WAKEUP_OVERDUE] = {.step = STEP_POLL_AGAIN, .redis = USABLE},
    /* After a failover an API's connection may last, to the former master: what it enters there is
     * lost, and found when it is late. */
    [WAKEUP_MOVED] = {.step = STEP_POLL_AGAIN, .redis = USABLE},
};

void feed_plan_init(struct feed_plan *p, int64_t interval_us, int64_t scan_us, bool mirrors)
{
    assert(interval_us > 0 && scan_us >= 0);
    *p = (struct feed_plan){
        .interval_us = interval_us,
        .scan_us = scan_us,
        .mirrors = mirrors,
        .wakeup_us =
            {
                [WAKEUP_FULL] = FEED_NEVER,
                [WAKEUP_CLAIMS] = FEED_NEVER,
                [WAKEUP_SCAN] = FEED_NEVER,
                [WAKEUP_MOVED] = FEED_NEVER,
            },
    };
}

bool feed_plan_due(const struct feed_plan *p, enum wakeup why, int64_t now_us)
{
    return p->wakeup_us[why] <= now_us;
}

/* What Redis knows of is released first: a full poll beside a backlog reads all of that again. */
static int64_t full_at_us(const struct feed_plan *p, const struct feed_sight *sight)
{
    int64_t at_us = p->wakeup_us[WAKEUP_FULL];
    int64_t later_us = sight->now_us + FEED_CLAIM_FIRST_US;
    if (at_us == FEED_NEVER || !sight->backlog ||
        sight->now_us >= p->full_wanted_us + FEED_GIVE_WAY_US)
        return at_us;
    return later_us > at_us ? later_us : at_us;
}

static enum feed_step next_while_stopping(const struct feed_plan *p, const struct feed_sight *sight)
{
    if (p->doing != FEED_IDLE)
        return STEP_WAIT;
    return p->feeder && sight->redis == FEED_REDIS_USABLE ? STEP_RESIGN : STEP_STOPPED;
}

static bool releases(enum feed_step step)
{
    return step == STEP_PASS || step == STEP_CLAIMS;
}

enum feed_step feed_plan_next(const struct feed_plan *p, const struct feed_sight *sight,
                              int64_t *wake_us)
{
    *wake_us = FEED_NEVER;
    if (p->stopping)
        return next_while_stopping(p, sight);
    if (p->doing != FEED_IDLE || !sight->link_free)
        return STEP_WAIT;
    if (!sight->ready)
        *wake_us = sight->now_us + FEED_UNREADY_US;
    for (int i = 0; i < NUM_WAKEUPS; i++) {
        if ((rules[i].redis & 1U << sight->redis) == 0 || (!sight->ready && !rules[i].unready) ||
            (sight->paused && releases(rules[i].step)))
            continue;
        int64_t at_us = i == WAKEUP_FULL ? full_at_us(p, sight) : p->wakeup_us[i];
        if (at_us <= sight->now_us)
            return rules[i].step;
        if (at_us < *wake_us)
            *wake_us = at_us;
        if ((rules[i].first && at_us != FEED_NEVER) || (i == WAKEUP_FIRST && p->held))
            break;
    }
    return STEP_WAIT;
}

static void want_full(struct feed_plan *p, int64_t at_us, int64_t now_us)
{
    if (p->wakeup_us[WAKEUP_FULL] == FEED_NEVER)
        p->full_wanted_us = now_us;
    p->wakeup_us[WAKEUP_FULL] = at_us;
}

static void begin_poll(struct feed_plan *p, enum poll_kind kind)
{
    p->doing = FEED_POLL;
    p->kind = kind;
    if (kind == POLL_FULL)
        p->wakeup_us[WAKEUP_FULL] = FEED_NEVER;
}

void feed_plan_begin(struct feed_plan *p, enum feed_step step, int64_t now_us)
{
    assert(p->doing == FEED_IDLE);
    switch (step) {
    case STEP_CATALOG:
        p->doing = FEED_CATALOG;
        break;
    case STEP_FIRST:
        p->doing = FEED_FIRST;
        p->wakeup_us[WAKEUP_FIRST] = FEED_NEVER;
        break;
    case STEP_PASS:
    case STEP_CLAIMS:
        p->doing = FEED_PASS;
        p->wakeup_us[WAKEUP_CLAIMS] = FEED_NEVER;
        p->wakeup_us[WAKEUP_DIRECT] = now_us + FEED_DIRECT_US;
        break;
    case STEP_RESIGN:
        p->doing = FEED_ROLE;
        p->feeder = false;
        break;
    case STEP_ROLE:
        p->doing = FEED_ROLE;
        break;
    case STEP_POLL_FULL:
        begin_poll(p, POLL_FULL);
        break;
    case STEP_POLL_AGAIN:
        if (feed_plan_due(p, WAKEUP_MOVED, now_us))
            p->wakeup_us[WAKEUP_MOVED] =
                now_us - p->moved_us < FEED_MOVED_US ? now_us + FEED_MOVED_POLL_US : FEED_NEVER;
        begin_poll(p, POLL_AGAIN);
        break;
    case STEP_WAIT:
    case STEP_STOPPED:
        assert(false);
    }
}

void feed_plan_first(struct feed_plan *p, bool again, bool held, int64_t now_us)
{
    assert(p->doing == FEED_FIRST);
    p->doing = FEED_IDLE;
    p->held = held;
    if (again)
        p->wakeup_us[WAKEUP_FIRST] = now_us + FEED_RETRY_US;
}

void feed_plan_idle(struct feed_plan *p)
{
    p->doing = FEED_IDLE;
}

bool feed_plan_role(struct feed_plan *p, bool ours, int64_t now_us)
{
    assert(p->doing == FEED_ROLE);
    bool took_over = ours && !p->feeder;
    bool scan = feed_plan_due(p, WAKEUP_SCAN, now_us);
    p->feeder = ours;
    if (p->stopping) {
        p->doing = FEED_IDLE;
        return false;
    }
    if (ours && (took_over || scan || p->polled_us == 0))
        begin_poll(p, POLL_FULL);
    else
        begin_poll(p, ours && p->mirrors ? POLL_REGULAR : POLL_CLOCK);
    if (!ours && scan) /* the feeder's */
        p->wakeup_us[WAKEUP_SCAN] = now_us + p->scan_us;
    return true;
}

void feed_plan_role_failed(struct feed_plan *p, int64_t now_us)
{
    assert(p->doing == FEED_ROLE);
    p->doing = FEED_IDLE;
    p->wakeup_us[WAKEUP_REGULAR] = now_us + FEED_RETRY_US;
    if (feed_plan_due(p, WAKEUP_SCAN, now_us))
        p->wakeup_us[WAKEUP_SCAN] = now_us + FEED_RETRY_US;
}

int64_t feed_plan_from_us(const struct feed_plan *p)
{
    assert(p->doing == FEED_POLL);
    switch (p->kind) {
    case POLL_FULL:
        return PAGES_FROM_START;
    case POLL_REGULAR:
        return p->polled_us - FEED_LATE_COMMIT_US;
    case POLL_CLOCK:
    case POLL_AGAIN:
        break;
    }
    return PAGES_NOWHERE;
}

void feed_plan_polled(struct feed_plan *p, int64_t began_us, int64_t now_us)
{
    assert(p->doing == FEED_POLL);
    p->doing = FEED_IDLE;
    if (p->kind != POLL_AGAIN)
        p->wakeup_us[WAKEUP_REGULAR] = now_us + p->interval_us;
    if (p->kind == POLL_FULL || p->kind == POLL_REGULAR)
        p->polled_us = began_us;
    if (p->kind == POLL_FULL && p->scan_us > 0)
        p->wakeup_us[WAKEUP_SCAN] = now_us + p->scan_us;
}

void feed_plan_poll_failed(struct feed_plan *p, int64_t now_us)
{
    assert(p->doing == FEED_POLL);
    p->doing = FEED_IDLE;
    if (p->kind == POLL_FULL)
        want_full(p, now_us + FEED_RETRY_US, now_us);
    else
        p->wakeup_us[WAKEUP_REGULAR] = now_us + FEED_RETRY_US;
}

void feed_plan_passed(struct feed_plan *p, bool ok, int64_t now_us)
{
    assert(p->doing == FEED_PASS);
    p->doing = FEED_IDLE;
    if (!ok)
        p->wakeup_us[WAKEUP_DIRECT] = now_us + FEED_RETRY_US;
}

/* What was overdue is so still, and is looked for when the pause is over. */
void feed_plan_paused(struct feed_plan *p, int64_t now_us)
{
    assert(p->doing == FEED_PASS);
    p->doing = FEED_IDLE;
    p->wakeup_us[WAKEUP_CLAIMS] = now_us;
}

void feed_plan_postgres(struct feed_plan *p, bool up, int64_t now_us)
{
    if (up) {
        p->down_us = 0;
        want_full(p, now_us + FEED_CLAIM_FIRST_US, now_us);
    } else if (p->down_us == 0) {
        p->down_us = now_us;
    }
}

void feed_plan_redis_usable(struct feed_plan *p, bool asks, bool moved, int64_t now_us)
{
    if (moved) {
        p->moved_us = now_us;
        p->wakeup_us[WAKEUP_MOVED] = now_us + FEED_MOVED_POLL_US;
    }
    if (asks)
        p->wakeup_us[WAKEUP_FIRST] = now_us;
    want_full(p, now_us + FEED_CLAIM_FIRST_US, now_us);
    if (p->redis_was_used)
        p->wakeup_us[WAKEUP_CLAIMS] = now_us;
    p->redis_was_used = true;
}

void feed_plan_data_lost(struct feed_plan *p, int64_t now_us)
{
    want_full(p, now_us, now_us);
    p->wakeup_us[WAKEUP_CLAIMS] = now_us;
}

bool feed_plan_lost(struct feed_plan *p, size_t n, int64_t now_us)
{
    if (n < FEED_LOST_MANY)
        return false;
    want_full(p, now_us, now_us);
    return true;
}

void feed_plan_long_ids(struct feed_plan *p, int64_t now_us)
{
    if (p->long_ids_us > 0 && now_us - p->long_ids_us <= FEED_LONG_IDS_US)
        return;
    p->long_ids_us = now_us;
    p->wakeup_us[WAKEUP_CLAIMS] = now_us;
}

bool feed_plan_out_of_reach(const struct feed_plan *p, int64_t now_us)
{
    return p->down_us > 0 && now_us - p->down_us > FEED_OUT_OF_REACH_US;
}
