/* Units of time. A time or a duration is an int64_t whose name ends with its unit (_us, _ms). */
#ifndef RS_TIME_UNITS_H
#define RS_TIME_UNITS_H

#include <stdint.h>

#define MS_US INT64_C(1000)
#define SECOND_MS INT64_C(1000)
#define SECOND_US (1000 * MS_US)
#define MINUTE_US (60 * SECOND_US)
#define HOUR_US (60 * MINUTE_US)
#define DAY_US (24 * HOUR_US)

/* Whole milliseconds, rounded up, of a time that is not negative: Redis must not have a reservation
 * before Postgres has it. At most INT64_MAX - 999. */
static inline int64_t ms_rounded_up(int64_t us)
{
    return (us + MS_US - 1) / MS_US;
}

#endif
