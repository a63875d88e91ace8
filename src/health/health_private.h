/* What the parts of health share: health.c (what is known), health_report.c (as JSON),
 * health_metrics.c (as gauges and counters). */
#ifndef RS_HEALTH_PRIVATE_H
#define RS_HEALTH_PRIVATE_H

#include "health/health.h"
#include "health/history.h"

#include "reconcile/reconcile.h"

struct health {
    struct health_options options;
    struct timer *tick;
    bool asking_sizes, asking_failures;
    int64_t sizes_asked_us; /* monotonic */
    struct json_t *failures;
    struct json_t *lockeds; /* as the last report had them */
    int64_t failures_us;    /* monotonic: when they were asked for */
    int64_t failures_of;    /* ... and how many there were */
    int64_t began_us;       /* monotonic */
    bool started;           /* health_has_started has said so */
    bool stopping;
    bool reconciled;
    struct reconcile_result reconcile;
    char reconcile_error[PG_REASON_SIZE]; /* its own, which would end */
    struct history history;
};

#endif
