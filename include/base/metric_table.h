/* Every metric of /metrics, in one table: the writer (metrics.h) takes nothing that is not in it,
 * and docs/METRICS.md is made from it. */
#ifndef RS_METRIC_TABLE_H
#define RS_METRIC_TABLE_H

#include <stdio.h>

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

#define METRIC_LABELS_MAX 4

struct metric {
    const char *name; /* whole, with its prefix */
    enum metrics_type type;
    const char *labels[METRIC_LABELS_MAX + 1]; /* in the order of a sample; ends with NULL */
    const char *help;                          /* one line of /metrics */
    const char *meaning; /* what it tells an operator; Markdown, on one line */
};

/* In the order in which /metrics has them. */
enum metric_id {
    METRIC_RELEASED,
    METRIC_RELEASED_UNITS,
    METRIC_RELEASED_WITHOUT_INVENTORY,
    METRIC_LATENESS,
    METRIC_DISCARDED,
    METRIC_RESCHEDULED,
    METRIC_FAILED,
    METRIC_BATCH_SECONDS,
    METRIC_BATCH_SIZE,
    METRIC_UNKNOWN_COMMITS,
    METRIC_LAST_RELEASE,
    METRIC_CLAIMS,
    METRIC_REDIS_REQUEST_SECONDS,
    METRIC_NEXT_DUE,
    METRIC_PENDING,
    METRIC_INFLIGHT,
    METRIC_FAILED_RESERVATIONS,
    METRIC_KEPT,
    METRIC_KEPT_ATTENTION,
    METRIC_OVERDUE,
    METRIC_LOCKED,
    METRIC_LOCKED_SECONDS,
    METRIC_DEGRADED,
    METRIC_PAUSED,
    METRIC_PAUSED_UNTIL,
    METRIC_FEED_LAST_SUCCESS,
    METRIC_FEEDER,
    METRIC_REDIS_UP,
    METRIC_REDIS_NODE,
    METRIC_POSTGRES_UP,
    METRIC_CLOCK_OFFSET,
    METRIC_RECONNECTS,
    METRIC_RECONCILE_SUCCESS,
    METRIC_RECONCILE_DRY_RUN,
    METRIC_RECONCILE_TIMESTAMP,
    METRIC_RECONCILE_DURATION,
    METRIC_RECONCILE_RELEASED,
    METRIC_RECONCILE_MISSING,
    METRIC_RECONCILE_MISPLACED,
    METRIC_RECONCILE_ORPHANED,
    METRIC_RECONCILE_SPENT,
    METRIC_RECONCILE_LEASES_EXPIRED,
    METRIC_RECONCILE_STOCK_CHECKED,
    METRIC_RECONCILE_STOCK_DRIFTED,
    METRIC_RECONCILE_STOCK_REPAIRED,
    METRIC_RECONCILE_VERIFY,
    METRIC_RECONCILE_REMAINING,
    METRIC_LOG_DROPPED,
    METRIC_BUILD_INFO,
    METRIC_PROCESS_CPU,
    METRIC_PROCESS_RESIDENT,
    METRIC_PROCESS_VIRTUAL,
    METRIC_PROCESS_START,
    METRIC_PROCESS_OPEN_FDS,
    METRIC_PROCESS_MAX_FDS,
    METRICS_N
};

extern const struct metric metric_table[METRICS_N];

/* "counter", "gauge", "histogram": as the exposition format has it. */
const char *metrics_type_name(enum metrics_type type);

/* Writes docs/METRICS.md. */
void metrics_print_document(FILE *out);

#endif
