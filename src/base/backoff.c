/* Delays between attempts: for connections (jittered), for refused reservations and for those
 * that a checkout holds locked. */
#include "base/backoff.h"

#include "base/clock.h"
#include "base/time_units.h"

#include <assert.h>
#include <sys/random.h>

#define REFUSED_MIN_US SECOND_US
#define REFUSED_MAX_US (300 * SECOND_US)
#define LOCKED_MIN_US (20 * MS_US)
#define LOCKED_MAX_US (5 * SECOND_US)

/* Whole sweepers that lost the same server must not return in step, so the seed matters more than
 * the quality: the clock will do where the kernel has no random bytes yet. */
static uint64_t random_u64(void)
{
    uint64_t value;
    if (getrandom(&value, sizeof(value), GRND_NONBLOCK) != (ssize_t)sizeof(value))
        value = (uint64_t)clock_mono_us() * UINT64_C(0x9E3779B97F4A7C15);
    return value;
}

int64_t backoff_next_us(struct backoff *b)
{
    assert(b->min_us > 0 && b->min_us <= b->max_us);

    int64_t previous_us = b->last_us > b->min_us ? b->last_us : b->min_us;
    int64_t top_us = previous_us > INT64_MAX / 3 ? INT64_MAX : 3 * previous_us;
    uint64_t span_us = (uint64_t)(top_us - b->min_us) + 1;
    int64_t delay_us = b->min_us + (int64_t)(random_u64() % span_us);
    if (delay_us > b->max_us)
        delay_us = b->max_us;
    b->last_us = delay_us;
    return delay_us;
}

void backoff_reset(struct backoff *b)
{
    b->last_us = 0;
}

int64_t backoff_refused_us(uint32_t attempts)
{
    int64_t delay_us = REFUSED_MIN_US;
    while (attempts > 1 && delay_us < REFUSED_MAX_US) {
        delay_us *= 2;
        attempts--;
    }
    return delay_us < REFUSED_MAX_US ? delay_us : REFUSED_MAX_US;
}

int64_t backoff_locked_us(int64_t lateness_us)
{
    int64_t delay_us = lateness_us / 4;
    if (delay_us < LOCKED_MIN_US)
        return LOCKED_MIN_US;
    return delay_us < LOCKED_MAX_US ? delay_us : LOCKED_MAX_US;
}
