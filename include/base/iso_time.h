/* Times as text: ISO 8601, in UTC. */
#ifndef RS_ISO_TIME_H
#define RS_ISO_TIME_H

#include <stdint.h>

#define ISO_TIME_SIZE 40 /* of a text, with its end */

/* "2025-11-14T01:00:00.000Z", cut to the millisecond, of microseconds since the epoch, which may be
 * negative. Returns text; "" when its year cannot be written. */
const char *iso_time(int64_t us, char text[ISO_TIME_SIZE]);

/* The same without the fraction: "2025-11-14T01:00:00Z". */
const char *iso_time_seconds(int64_t us, char text[ISO_TIME_SIZE]);

#endif
