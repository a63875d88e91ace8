/* When the next claim is made. Pure: nothing here reads a clock, and times without a word are
 * monotonic, in microseconds.
 *
 * After a quiet moment what comes due goes at once; under load the starts of two batches are at
 * least `pace_us` apart, so that they fill; a full batch never waits. Redis is looked at every
 * max_sleep_us, since others may have entered something earlier than what is known. */
#ifndef RS_PACE_H
#define RS_PACE_H

#include "base/time_units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACE_AFTER_ERROR_US (100 * MS_US) /* until the next claim after Redis refused one */

struct pace {
    int64_t max_sleep_us, pace_us; /* the settings */
    int64_t next_ms;               /* Postgres's time: the earliest score known; INT64_MAX: none */
    int64_t asked_us;              /* the last claim that was made */
    int64_t started_us;            /* the last one that brought something */
    int64_t not_before_us;         /* after an error */
    bool backlog;                  /* the last claim was full: there is more */
};

/* Nothing is known: look at once. */
void pace_init(struct pace *p, int64_t max_sleep_us, int64_t pace_us);

/* Redis can be used again, or no longer: look at once when it can, but for the pace. */
void pace_redis_changed(struct pace *p);

/* A claim is being made. */
void pace_asked(struct pace *p, int64_t now_us);

/* It was answered. n: how many it brought, asked: how many it asked for; next_ms: as above. */
void pace_claimed(struct pace *p, size_t n, size_t asked, int64_t next_ms);

/* It was not. */
void pace_failed(struct pace *p, int64_t now_us);

/* Something is to be looked at at at_ms. Returns whether that is earlier than what was known. */
bool pace_expect(struct pace *p, int64_t at_ms);

/* When the next claim is to be made. due_us: when next_ms is, on the monotonic clock; INT64_MAX:
 * there is none. */
int64_t pace_next_us(const struct pace *p, int64_t due_us);

/* Whether another claim has its use: a lane is idle, or, in a backlog, at work and without a batch
 * to go on with, so that Postgres need not wait for Redis. usable: lanes that can release, the idle
 * ones among them; waiting: claimed batches that no lane has taken yet. */
bool pace_has_room(const struct pace *p, int idle, int usable, int waiting);

#endif
