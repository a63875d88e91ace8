/* What others ask of the feed. */
#include "feed/feed.h"

#include "base/clock.h"
#include "feed/direct.h"
#include "feed/feed_private.h"
#include "feed/overdue.h"
#include "link/pg_link.h"

int64_t feed_last_success_us(const struct feed *f)
{
    return f->last_success_us;
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
