/* How far long work has come, as one line for a terminal. Pure: the clock and the width are passed
 * in. */
#ifndef RS_BAR_H
#define RS_BAR_H

#include <stddef.h>
#include <stdint.h>

#define BAR_LINE 512 /* bytes that hold any line */

struct bar {
    const char *queue; /* NULL: there is only one */
    const char *phase; /* what is done now */
    int64_t done;
    int64_t total; /* of the phase; 0: not known */
    /* The part of the whole that the phase is, from 0 to 1. Phases are weighed by how long they
     * take as a rule. */
    double from, to;
    int64_t began_us, phase_began_us; /* monotonic */
};

/* How much of the whole is done, from 0 to 1. A phase whose end is not known comes closer to it all
 * the time, ever more slowly. */
double bar_share(const struct bar *bar, int64_t now_us);

/* Writes the line, no wider than `columns` less one, without a newline: the phase, a bar, the share
 * (of the whole), what is done of the phase, its rate, and how long the whole still takes, or how
 * long it has taken. What there is no room for is left out. */
void bar_line(const struct bar *bar, double share, int64_t now_us, int columns, char out[BAR_LINE]);

#endif
