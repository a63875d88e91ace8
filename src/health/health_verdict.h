/* What health decides: pure. The verdict itself is in health.h (health_judge). */
#ifndef RS_HEALTH_VERDICT_H
#define RS_HEALTH_VERDICT_H

#include "base/time_units.h"

#include <stdbool.h>
#include <stdint.h>

struct health_server;

#define HEALTH_TICK_US SECOND_US               /* how often it is asked what is to be asked for */
#define HEALTH_OVERDUE_MAX_US (30 * SECOND_US) /* later than this is not on time */
#define SIZES_US (5 * SECOND_US)    /* asked for when no claim has brought them for so long */
#define RECORDS_US (10 * SECOND_US) /* how old the sample may be while their number stands */

/* Redis is to be asked for its sizes. age_us: of those that are known; next_due_us: the earliest
 * entry among them (Postgres's time, 0: none), which is so late that somebody else may be releasing
 * it, now_us being Postgres's time. */
bool health_wants_sizes(int64_t age_us, int64_t next_due_us, int64_t now_us);

/* Redis is to be asked for some records of :failed or :kept. known_of: how many there were when it
 * was asked last, age_us ago; n: how many there are. */
bool health_wants_records(int64_t known_of, int64_t age_us, int64_t n);

/* All that the verdict needs has been heard: what is overdue; and of Redis its sizes, or that it
 * cannot be used. */
bool health_has_started(bool overdue_known, bool sizes_heard, bool degraded);

/* It has not started, and not for so long that anybody should mind. age_us: since its beginning. */
bool health_is_starting(bool started, int64_t age_us);

/* Fills in up and error of Postgres's: it is up when workers and feed reach it. workers_error: the
 * last one, whether they are up or not; feed_error: NULL when the feed is. */
void health_postgres(struct health_server *postgres, bool workers_up, const char *workers_error,
                     const char *feed_error);

#endif
