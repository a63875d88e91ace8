/* The two clocks of this host, and an estimate of a server's clock.
 *
 * Decisions are made in a server's time (Postgres's), waits run on the monotonic clock. The
 * host's wall clock is only ever reported, so that setting it disturbs nothing. */
#ifndef RS_CLOCK_H
#define RS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Monotonic time in microseconds (CLOCK_MONOTONIC). */
int64_t clock_mono_us(void);

/* The host's wall clock in microseconds since the epoch (CLOCK_REALTIME). For reports only. */
int64_t clock_wall_us(void);

/* A server's clock relative to this host's monotonic clock.
 *
 * An answer that carries the server's time `s`, asked at `t0` and received at `t1`, proves
 * s - t1 <= offset <= s - t0. The estimate keeps the smallest upper bound, since a server reads
 * its clock early and may work long before it answers; lets it rise by 20 ppm, for drift; and
 * gives it up when a lower bound contradicts it (the server's clock was set forward). A clock set
 * back, or a quicker question, simply is the smaller bound.
 *
 * So it is ahead of the server's clock by the quickest way there that was seen: what it calls due
 * is due when a question that is asked now arrives. It is a hint; Postgres decides. */
struct server_clock {
    bool known;
    int64_t offset_us;   /* server time = monotonic + offset, as of risen_us */
    int64_t risen_us;    /* monotonic time until which offset_us has risen */
    int64_t measured_us; /* monotonic time of the last sample */
};

/* Takes one sample: server_us is the server's time, sent_us and received_us are monotonic. A time
 * that is none (0 or less, or past the year 9999) is ignored. */
void server_clock_sample(struct server_clock *c, int64_t server_us, int64_t sent_us,
                         int64_t received_us);

/* The server's time now, in microseconds since the epoch; 0 while no sample was taken. */
int64_t server_clock_now_us(const struct server_clock *c);

/* The monotonic moment at which the server's clock will show server_us. Requires c->known. */
int64_t server_clock_to_mono_us(const struct server_clock *c, int64_t server_us);

/* The server's clock minus this host's wall clock, in microseconds; 0 while unknown. */
int64_t server_clock_host_offset_us(const struct server_clock *c);

#endif
