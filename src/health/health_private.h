/* What the parts of health share: health.c (what is known), health_report.c (as JSON),
 * health_metrics.c (as gauges and counters). */
#ifndef RS_HEALTH_PRIVATE_H
#define RS_HEALTH_PRIVATE_H

#include "health/health.h"
#include "health/history.h"

#include "queue/repair.h"
#include "reconcile/reconcile.h"

/* Some of the records that Redis has of what is refused, or of what is kept. */
struct health_records {
    enum due_place place;
    struct json_t *shown;
    bool asking;
    int64_t asked_us; /* monotonic */
    int64_t of;       /* how many there were when they were asked for */
};

struct health {
    struct health_options options;
    struct timer *tick;
    bool asking_sizes;
    int64_t sizes_asked_us; /* monotonic */
    struct health_records failed, kept;
    struct json_t *lockeds; /* as the last report had them */
    int64_t began_us;       /* monotonic */
    bool started;           /* health_has_started has said so */
    bool stopping;
    bool reconciled;
    struct reconcile_result reconcile;
    char reconcile_error[PG_REASON_SIZE]; /* its own, which would end */
    struct history history;
};

#endif
