/* The feed: mirrors from Postgres into Redis what expires within the look-ahead, so that an API
 * that knows nothing of Redis is served to the millisecond; finds what has expired unnoticed;
 * and, while Redis cannot be used, releases straight from Postgres. Its own connection. */
#ifndef RS_FEED_H
#define RS_FEED_H

#include "base/callback.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct feed;
struct overdue_view;
struct parts;

struct feed_events {
    void (*on_mirrored)(void *arg, int64_t earliest_ms); /* entries were added or became earlier */
    event_cb *on_statements;                             /* the catalog was read */
    void *arg;
};

/* Neither event fires from inside a call of the feed's, but from the loop. lanes: the workers', for
 * direct mode. events is copied; parts and lanes must outlive the object, and parts have their
 * queue. NULL: out of memory. */
struct feed *feed_new(struct parts *parts, struct engine *lanes, const struct feed_events *events);

/* Ends what is under way, without its callbacks. The queue must have been closed, and the lanes'
 * links freed before. NULL is legal. */
void feed_free(struct feed *f);

/* Connects to Postgres, for as long as it takes: the polls follow. */
void feed_start(struct feed *f);

/* Redis can be used (a full poll follows, and after the first time a pass over what is more than a
 * second overdue) or no longer (direct mode begins). */
void feed_redis_changed(struct feed *f);

/* A pause has begun, or is over, or it has become known whether there is one. */
void feed_pause_changed(struct feed *f);

/* Ends what is under way after the batch in hand and gives the feeder's role up; done(arg) fires
 * once, on a later turn. */
void feed_stop(struct feed *f, event_cb *done, void *arg);

/* Postgres's time of the last poll that succeeded, microseconds; 0: none yet. */
int64_t feed_last_success_us(const struct feed *f);

/* This sweeper has the feeder's role: it mirrors what its polls find. */
bool feed_is_feeder(const struct feed *f);

/* How late the queue is, by what the feed has seen. Its strings are good until the loop turns. */
void feed_overdue(struct feed *f, struct overdue_view *view);

/* Why the feed has not reached Postgres for ten seconds; NULL when it has. Where Postgres hangs, a
 * worker that has nothing to release does not notice. */
const char *feed_postgres_error(const struct feed *f);

/* Connections that were made after the first. */
uint64_t feed_postgres_reconnects(const struct feed *f);

#endif
