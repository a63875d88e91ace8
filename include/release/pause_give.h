/* Orders to pause a queue and to resume, given to all of its sweepers by way of Redis. */
#ifndef RS_PAUSE_GIVE_H
#define RS_PAUSE_GIVE_H

#include "release/pause_record.h"

struct parts;

struct pause_wish {
    int64_t for_us; /* 0: to resume; else up to PAUSE_TIME_MAX_US */
    const char *reason, *by;
};

struct pause_given {
    const char *error; /* NULL: it was given; ends with the callback */
    bool lasted;       /* there was a pause before */
    int64_t until_us;  /* Postgres's time at which the pause ends; 0 for a resume */
};

/* Gives an order; parts->pause, if there is one, follows at once. Requires that Redis is connected,
 * and that Postgres's time is known (parts->pg_clock). What is wished is copied. done(arg, given)
 * fires once, maybe from inside this call. */
void pause_give(struct parts *parts, const struct pause_wish *wish,
                void (*done)(void *arg, const struct pause_given *given), void *arg);

#endif
