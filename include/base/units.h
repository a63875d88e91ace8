/* Stock units as Postgres has them: integers or numerics, added up exactly. */
#ifndef RS_UNITS_H
#define RS_UNITS_H

#include <stdint.h>

/* whole + nano / 10^9, with 0 <= nano < 10^9, also below zero: -1.5 is -2 and 500000000. Decimals
 * beyond the ninth are cut off; beyond 2^63 a sum stays there. */
struct units {
    int64_t whole, nano;
};

/* Reads a number as Postgres writes integers and numerics; 0 when the text is none: empty, NaN,
 * Infinity. */
struct units units_parse(const char *text);

/* sum + more; what is too large, or too small, stays at the end of the range. */
void units_add(struct units *sum, const struct units *more);

/* -units; of the smallest number the largest. */
struct units units_negated(const struct units *units);

/* The nearest double: for metrics. */
double units_real(const struct units *units);

#define UNITS_TEXT 32 /* bytes of a text, with its end */

/* "1200", "-1.5": what units_parse reads. */
void units_text(const struct units *units, char out[UNITS_TEXT]);

#endif
