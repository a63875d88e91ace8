/* What the feed goes by, and what others ask of it. */
#include "feed/feed.h"

#include "base/clock.h"
#include "feed/direct.h"
#include "feed/feed_private.h"
#include "feed/overdue.h"
#include "link/pg_link.h"
#include "release/parts.h"
#include "release/pause.h"
#include "store/statements.h"

int64_t feed_last_success_us(const struct feed *f)
{
    return f->last_success_us;
}

bool feed_is_feeder(const struct feed *f)
{
    return f->plan.feeder;
}

void feed_overdue(struct feed *f, struct overdue_view *view)
{
    if (f->plan.doing == FEED_PASS)
        direct_note(f->direct);
    overdue_read(f->overdue, view);
}

const char *feed_postgres_error(const struct feed *f)
{
    return feed_plan_out_of_reach(&f->plan, clock_mono_us()) ? pg_link_last_error(f->link) : NULL;
}

uint64_t feed_postgres_reconnects(const struct feed *f)
{
    return pg_link_reconnects(f->link);
}

struct feed_sight feed_sight_now(struct feed *f)
{
    f->plan.wakeup_us[WAKEUP_CATALOG] = statements_due_us(f->parts->statements);
    bool paused = !pause_allows(f->parts->pause);
    /* In a pause what is late is no reason to look more often. */
    f->plan.wakeup_us[WAKEUP_OVERDUE] = paused ? FEED_NEVER : overdue_again_us(f->overdue);
    return (struct feed_sight){
        .now_us = clock_mono_us(),
        .paused = paused,
        .link_free = pg_link_up(f->link) && !pg_link_busy(f->link),
        .ready = statements_ready(f->parts->statements),
        .backlog = f->parts->backlog,
        .redis = parts_degraded(f->parts)       ? FEED_REDIS_DEGRADED
                 : parts_redis_usable(f->parts) ? FEED_REDIS_USABLE
                                                : FEED_REDIS_UNHEARD,
    };
}
