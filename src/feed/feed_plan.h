/* What the feed does next: pure, of its state and of what it is told of the world.
 *
 * There is one wake-up for each reason to do something: a monotonic time, or FEED_NEVER. Events set
 * and clear wake-ups, feed_plan_next chooses among those that are due, and whoever does what it
 * says tells the plan that it begins and how it ended. Nothing here sends, logs or reads a clock.
 */
#ifndef RS_FEED_PLAN_H
#define RS_FEED_PLAN_H

#include "base/time_units.h"
#include "feed/poll.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FEED_NEVER INT64_MAX

#define FEED_RETRY_US SECOND_US          /* after a poll or pass that failed */
#define FEED_UNREADY_US (50 * MS_US)     /* until statements that are not ready are looked for */
#define FEED_DIRECT_US (500 * MS_US)     /* between the beginnings of direct mode's passes */
#define FEED_CLAIM_FIRST_US (20 * MS_US) /* a full poll begins after a first claim */
#define FEED_GIVE_WAY_US (1500 * MS_US)  /* ... and after a backlog, but waits no longer */
#define FEED_UNANSWERED_US SECOND_US     /* overdue by more: its claim's answer was lost */
#define FEED_LATE_COMMIT_US (60 * SECOND_US)  /* a row may become visible so long after its poll */
#define FEED_LONG_IDS_US (15 * SECOND_US)     /* between passes for ids that Redis cannot hold */
#define FEED_LOST_MANY 500                    /* so many lost ones are a full poll's work */
#define FEED_MOVED_US (20 * SECOND_US)        /* an API may have another Redis for so long */
#define FEED_MOVED_POLL_US SECOND_US          /* ... and is looked after so often */
#define FEED_OUT_OF_REACH_US (10 * SECOND_US) /* a restart of Postgres is over sooner */

/* What it is doing. One thing at a time, since there is one connection. */
enum feed_doing {
    FEED_IDLE,    /* nothing: a wake-up or an event decides what comes next */
    FEED_CATALOG, /* reads the catalog */
    FEED_FIRST,   /* asks what is due at the start, and whether it may be released */
    FEED_ROLE,    /* asks Redis for the feeder's role, or gives it back */
    FEED_POLL,    /* polls Postgres (of which kind: feed_plan.kind) */
    FEED_PASS,    /* releases straight from Postgres */
};

/* Why it wakes up, by precedence. feed_plan.c has what each leads to, and when. */
enum wakeup {
    WAKEUP_CATALOG,
    WAKEUP_FIRST,
    WAKEUP_DIRECT,
    WAKEUP_FULL,
    WAKEUP_CLAIMS,
    WAKEUP_REGULAR,
    WAKEUP_SCAN,
    WAKEUP_OVERDUE,
    WAKEUP_MOVED,
    NUM_WAKEUPS
};

/* What feed_plan_next says. */
enum feed_step {
    STEP_WAIT,      /* for the wake-up or an event */
    STEP_CATALOG,   /* read the catalog */
    STEP_FIRST,     /* ask what is due at the start, and whether it may be released */
    STEP_PASS,      /* release all that is due */
    STEP_CLAIMS,    /* release what is overdue by FEED_UNANSWERED_US */
    STEP_ROLE,      /* ask for the feeder's role: a poll follows */
    STEP_POLL_FULL, /* whoever has the role */
    STEP_POLL_AGAIN,
    STEP_RESIGN,  /* stopping: give the role back */
    STEP_STOPPED, /* stopping: all is done */
};

enum feed_redis {
    FEED_REDIS_UNHEARD, /* not yet known: neither is right */
    FEED_REDIS_USABLE,
    FEED_REDIS_DEGRADED, /* out of reach, or refusing: direct mode */
};

/* The world, at a moment. */
struct feed_sight {
    int64_t now_us; /* monotonic */
    bool link_free; /* Postgres is connected, and nothing is under way there */
    bool ready;     /* there are statements */
    bool backlog;   /* claims come back full */
    bool paused;    /* nothing may be released: polls go on */
    enum feed_redis redis;
};

struct feed_plan {
    /* Settings. */
    int64_t interval_us; /* between regular polls; > 0 */
    int64_t scan_us;     /* between scans; 0: there are none */
    bool mirrors;        /* there is a look-ahead */

    enum feed_doing doing;
    enum poll_kind kind; /* of the poll under way, or the last one */
    int64_t wakeup_us[NUM_WAKEUPS];
    int64_t full_wanted_us; /* since when a full poll is wanted; while one is */
    int64_t polled_us;      /* Postgres's time when the last poll that mirrors began; 0: none yet */
    int64_t down_us;        /* since when Postgres is not connected; 0: it is, or never was tried */
    int64_t moved_us;       /* when Redis was used at another server than before; 0: never */
    int64_t long_ids_us; /* when a pass was last wanted for ids that Redis cannot hold; 0: never */
    bool feeder;         /* this one has the role */
    bool redis_was_used; /* it may have claims there */
    bool held;           /* by the first-run limit: nothing is done but to read the catalog */
    bool stopping;
};

/* interval_us: between two polls. scan_us: between two scans, 0: none. mirrors: there is a
 * look-ahead. */
void feed_plan_init(struct feed_plan *p, int64_t interval_us, int64_t scan_us, bool mirrors);

/* What is to be done now. *wake_us: when to ask again even if nothing happens; FEED_NEVER: only an
 * event changes anything. WAKEUP_CATALOG and WAKEUP_OVERDUE are others' to know: they must have
 * been filled in. */
enum feed_step feed_plan_next(const struct feed_plan *p, const struct feed_sight *sight,
                              int64_t *wake_us);

/* That wake-up's moment has come. */
bool feed_plan_due(const struct feed_plan *p, enum wakeup why, int64_t now_us);

/* ---- what it does, as it begins and ends ---- */

/* A step that feed_plan_next has just said begins. For STEP_WAIT and STEP_STOPPED it is not told.
 */
void feed_plan_begin(struct feed_plan *p, enum feed_step step, int64_t now_us);

/* What is due at the start was asked for. again: it could not be found out; held: nothing may be
 * released. */
void feed_plan_first(struct feed_plan *p, bool again, bool held, int64_t now_us);

/* The catalog was read, or not; the role was given back, or not. */
void feed_plan_idle(struct feed_plan *p);

/* Whether the role is ours is known. True: the poll that follows, of p->kind, begins. False: none
 * does, since it is stopping. */
bool feed_plan_role(struct feed_plan *p, bool ours, int64_t now_us);

/* It is not known: again, a little later. */
void feed_plan_role_failed(struct feed_plan *p, int64_t now_us);

/* Where the poll that has begun starts reading: Postgres's time, PAGES_FROM_START or PAGES_NOWHERE.
 */
int64_t feed_plan_from_us(const struct feed_plan *p);

/* The poll came to its end, having begun at began_us of Postgres's time; or not. */
void feed_plan_polled(struct feed_plan *p, int64_t began_us, int64_t now_us);
void feed_plan_poll_failed(struct feed_plan *p, int64_t now_us);

/* The pass came to its end, or not; or a pause has ended it. */
void feed_plan_passed(struct feed_plan *p, bool ok, int64_t now_us);
void feed_plan_paused(struct feed_plan *p, int64_t now_us);

/* ---- what happens ---- */

/* Postgres is connected (nobody polled meanwhile), or no longer. */
void feed_plan_postgres(struct feed_plan *p, bool up, int64_t now_us);

/* Redis can be used, for the first time or again. asks: what is due at the start is to be asked for
 * again, since it may know that this was accepted. moved: it is another server than before. */
void feed_plan_redis_usable(struct feed_plan *p, bool asks, bool moved, int64_t now_us);

/* Redis has lost its data: entries and claims. */
void feed_plan_data_lost(struct feed_plan *p, int64_t now_us);

/* n reservations are late and no entry leads to them. True: so many that a full poll is wanted now,
 * which has them all and what is behind them; false: Redis is to be told of each. */
bool feed_plan_lost(struct feed_plan *p, size_t n, int64_t now_us);

/* Among them are ids that Redis cannot hold: a pass is wanted. */
void feed_plan_long_ids(struct feed_plan *p, int64_t now_us);

/* Postgres has been away for longer than a restart takes. */
bool feed_plan_out_of_reach(const struct feed_plan *p, int64_t now_us);

#endif
