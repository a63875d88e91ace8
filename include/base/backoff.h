/* Delays between attempts, as values: decorrelated jitter ("Exponential Backoff And Jitter",
 * AWS Architecture Blog, 2015): next = min(max, random between min and 3 * previous). */
#ifndef RS_BACKOFF_H
#define RS_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t min_us, max_us;
    int64_t last_us; /* 0: no attempt failed yet */
};

/* The next delay, in microseconds, within [min_us, max_us]. */
int64_t backoff_next_us(struct backoff *b);

/* After a success. */
void backoff_reset(struct backoff *b);

/* The delay before retry number `attempts` (1, 2, ...) of a refused reservation:
 * min(1 s * 2^(attempts-1), 5 min). */
int64_t backoff_refused_us(uint32_t attempts);

/* When to look again at a reservation whose row or counter a checkout holds, given how late it
 * already is: clamp(lateness / 4, 20 ms, 5 s). */
int64_t backoff_locked_us(int64_t lateness_us);

#endif
