/* How long a pause may be, and what may be given as its reason: on the command line and over HTTP.
 */
#ifndef RS_PAUSE_LIMITS_H
#define RS_PAUSE_LIMITS_H

#include "base/time_units.h"

#include <stdbool.h>
#include <stdint.h>

#define PAUSE_TIME_MIN_US SECOND_US
#define PAUSE_TIME_MAX_US (7 * DAY_US) /* there is no endless pause */
#define PAUSE_TIMES "a duration from 1s to 168h"
#define PAUSE_PRESET "1h"
#define PAUSE_REASON_MAX 500 /* bytes */

/* Whether a pause may last that long: by the limits above. */
bool pause_time_fits(int64_t us);

/* What is wrong with a reason, and what is allowed; NULL: nothing is. */
const char *pause_reason_fault(const char *reason);

#endif
