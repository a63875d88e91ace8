/* The clocks of this host, and the bound kept for a server's clock: see clock.h for the proof
 * that a sample carries. */
#include "base/clock.h"

#include "base/time_units.h"

#include <assert.h>
#include <time.h>

/* A server's time beyond the year 9999 is not a time; within it no sum below can overflow. */
#define SERVER_US_MAX INT64_C(253402300799000000)

/* The bound rises by one microsecond in 50,000, which is 20 ppm. */
#define DRIFT_DIVISOR 50000

static int64_t clock_read_us(clockid_t id)
{
    struct timespec ts;
    int rc = clock_gettime(id, &ts);
    assert(rc == 0);
    (void)rc;
    return (int64_t)ts.tv_sec * SECOND_US + ts.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void)
{
    return clock_read_us(CLOCK_REALTIME);
}

/* By how much the bound has to rise until mono_us. A moment before it was made (answers may be
 * read out of order) is served by the bound as it stands. */
static int64_t rise_us(const struct server_clock *c, int64_t mono_us)
{
    return mono_us > c->risen_us ? (mono_us - c->risen_us) / DRIFT_DIVISOR : 0;
}

void server_clock_sample(struct server_clock *c, int64_t server_us, int64_t sent_us,
                         int64_t received_us)
{
    assert(sent_us <= received_us);
    if (server_us <= 0 || server_us > SERVER_US_MAX)
        return;

    int64_t lower_us = server_us - received_us;
    int64_t upper_us = server_us - sent_us;
    int64_t rise = rise_us(c, received_us);
    int64_t kept_us = c->offset_us + rise;
    /* A lower bound above what was kept: the server's clock was set forward since. An upper bound
     * below it is better knowledge, or a clock set back: taken as it is either way. */
    if (!c->known || upper_us < kept_us || lower_us > kept_us) {
        c->offset_us = upper_us;
        c->risen_us = received_us;
    } else {
        /* Not to received_us: between samples that follow closely the bound would never rise. */
        c->offset_us = kept_us;
        c->risen_us += rise * DRIFT_DIVISOR;
    }
    if (!c->known || received_us > c->measured_us)
        c->measured_us = received_us;
    c->known = true;
}

int64_t server_clock_now_us(const struct server_clock *c)
{
    if (!c->known)
        return 0;

    int64_t mono_us = clock_mono_us();
    return mono_us + c->offset_us + rise_us(c, mono_us);
}

int64_t server_clock_to_mono_us(const struct server_clock *c, int64_t server_us)
{
    assert(c->known);
    if (server_us < 0)
        server_us = 0;
    if (server_us > SERVER_US_MAX)
        server_us = SERVER_US_MAX;

    int64_t ahead_us = server_us - c->offset_us - c->risen_us;
    /* The inverse of server_clock_now_us, rounded up: who wakes at that moment must find that it
     * has reached server_us, or would be woken in vain and sleep again. */
    if (ahead_us > 0)
        ahead_us -= ahead_us / (DRIFT_DIVISOR + 1);
    return c->risen_us + ahead_us;
}

int64_t server_clock_host_offset_us(const struct server_clock *c)
{
    return c->known ? server_clock_now_us(c) - clock_wall_us() : 0;
}
