/* What every unit test includes: cmocka, which wants these headers before its own. */
#ifndef RS_UNIT_H
#define RS_UNIT_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* The time that a test allows for something, on this machine: RS_TIME_FACTOR times as long on one
 * that others share. */
static inline int64_t within_us(int64_t us)
{
    const char *factor = getenv("RS_TIME_FACTOR");
    return factor != NULL ? (int64_t)((double)us * strtod(factor, NULL)) : us;
}

#endif
