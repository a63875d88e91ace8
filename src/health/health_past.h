/* What has been, as JSON: the last hour, and the last reconciliation. */
#ifndef RS_HEALTH_PAST_H
#define RS_HEALTH_PAST_H

#include <stdint.h>

struct health_report;
struct json_t;

/* "2025-11-14T01:00:00.000Z"; null for 0 and what is no time. A new reference, as below; NULL: out
 * of memory. */
struct json_t *health_time_json(int64_t us);

/* What n queues have released in the last hour, one at least, how late, and minute by minute, the
 * oldest first; null where that is not known. */
struct json_t *health_hour_json(const struct health_report *reports, int n);

/* Of one queue; null: there was none since the start. */
struct json_t *health_reconciliation_json(const struct health_report *r);

#endif
