/* What the files of the feed share: feed.c decides what is done when, feed_look.c makes the looks.
 */
#ifndef RS_FEED_PRIVATE_H
#define RS_FEED_PRIVATE_H

#include "base/callback.h"
#include "base/outage.h"
#include "feed/feed.h"

#include "base/outage.h"
#include "base/time_units.h"

#define FEED_RETRY_US SECOND_US /* after a look or pass that failed */

enum job { JOB_NONE, JOB_CATALOG, JOB_ROLE, JOB_LOOK, JOB_PASS };

struct feed {
    struct parts *parts;
    struct feed_events events;
    struct pg_link *link;
    struct pages *pages;
    struct direct *direct;
    struct overdue *overdue;
    struct timer *wake;
    struct timer *stopped;
    struct data_loss *data_loss;
    enum job job;
    char holder[160];

    bool want_full;       /* a look from the beginning of time, whoever holds the role */
    int64_t wanted_us;    /* monotonic: since when */
    bool want_pass;       /* release directly what a lost claim may have left in flight */
    bool feeder;          /* we hold the role */
    bool full;            /* the look under way is a full one */
    bool only_clock;      /* ... reads no page, just Postgres's clock and what is late */
    bool again;           /* ... is made only for what seemed late */
    int64_t look_at_us;   /* monotonic: the next regular look */
    int64_t scan_at_us;   /* monotonic: the next overdue scan; INT64_MAX: off */
    int64_t direct_at_us; /* monotonic: the next look of direct mode */
    int64_t looked_us;    /* Postgres's time at the start of the last look that succeeded */
    int64_t look_began_us;
    int64_t last_success_us;
    int64_t down_us;       /* monotonic: without a connection to Postgres since; 0: it has one */
    struct outage failing; /* looks or passes, by no fault of a server that is out of reach */
    struct mirror *mirror;
    struct mirror *lost; /* what a look found late, and no entry leads to it */
    int64_t long_ids_us; /* monotonic: when a pass was last wanted for ids that Redis cannot hold */
    bool last_page;
    bool redis_was_up;

    event_cb *done;
    void *done_arg;
    bool stopping;
};

void feed_job_over(struct feed *f);

/* A look or a pass has failed, or has come to its end: one record when it begins, and as outage.h
 * has it. unexplained: no server is known to be out of reach or to refuse, which has records of its
 * own. */
void feed_failed(struct feed *f, const char *message, const char *error, bool unexplained);
void feed_succeeded(struct feed *f);

/* A look from the beginning of time is wanted. */
void feed_want_full(struct feed *f, int64_t delay_us);

/* A full look reads everything that has expired and, with a look-ahead, what will; a regular one
 * what the last look could not see; with neither to do (!full, !mirror), none. Each brings
 * Postgres's clock and what is late. */
void feed_start_look(struct feed *f, bool full, bool mirror);

/* A page has been put into Redis, or not. */
void feed_mirrored(void *arg, int64_t earliest_ms, const char *error);

/* Regular looks are made by one sweeper at a time: the one that holds the role. Its lease outlives
 * the pause between two looks by a quarter. */
void feed_start_role(struct feed *f);

#endif
