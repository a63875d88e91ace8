/* The feed's own state. */
#ifndef RS_FEED_PRIVATE_H
#define RS_FEED_PRIVATE_H

#include "base/callback.h"
#include "base/outage.h"
#include "feed/feed.h"
#include "feed/feed_plan.h"

struct feed {
    struct parts *parts;
    struct feed_events events;
    struct pg_link *link;
    struct poll *poll;
    struct direct *direct;
    struct overdue *overdue;
    struct feeder *feeder;
    struct lost *lost;
    struct data_loss *data_loss;
    struct first_run *first_run;
    struct timer *wake;
    struct timer *stopped;
    bool paused; /* as it was when that last changed */
    bool closed; /* feed_free ends what is under way: whoever listens has lost its links by then */

    struct feed_plan plan;
    int64_t renewed_us;      /* when the link was last given up for another's loss; 0: never */
    int64_t moved_us;        /* ... and when a pooler was last seen to have moved */
    int64_t last_success_us; /* Postgres's time */
    struct outage failing;   /* polls or passes, by no fault of a server that is out of reach */

    event_cb *done; /* of feed_stop; NULL: not asked for, or called */
    void *done_arg;
};

/* What the plan decides by, now; sets when the catalog and what is late are to be looked at. */
struct feed_sight feed_sight_now(struct feed *f);

#endif
