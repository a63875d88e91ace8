/* A record that anybody can cause again and again is said a few times a minute; the rest is
 * counted, and told with the next one that is said. Pure: the clock is passed in. */
#ifndef RS_FEW_H
#define RS_FEW_H

#include <stdbool.h>
#include <stdint.h>

#define FEW_MOST 10 /* a minute */

/* Zeroed: nothing was said yet. */
struct few {
    int64_t since_us; /* monotonic: when the minute began */
    unsigned said;    /* in it */
    uint64_t more;    /* not said since the last record */
};

/* Whether one more may be said; if not it is counted. When it is said, `more` is to be told with it
 * and then to be set to 0. now_us is monotonic and above 0. */
bool few_may(struct few *f, int64_t now_us);

#endif
