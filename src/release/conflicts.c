/* How far the search goes for whose lock it was that a release met inside. */
#include "release/conflicts.h"

#include "base/time_units.h"

/* Halving a hundred down to one takes seven attempts; twenty locked ones among five hundred
 * take a hundred or so, of a few milliseconds each. */
const struct conflict_limits conflict_limits_first = {
    .repeats = 2, .few = 24, .fruitless_us = 250 * MS_US, .most_us = SECOND_US};
const struct conflict_limits conflict_limits_known = {
    .repeats = 0, .few = 8, .fruitless_us = 150 * MS_US, .most_us = 250 * MS_US};

enum conflict_step conflicts_met(struct conflicts *c, size_t n, int64_t mono_us)
{
    const struct conflict_limits *limits = c->limits;
    if (c->failures++ == 0)
        c->since_us = mono_us;
    if (c->failures <= limits->repeats)
        return CONFLICT_REPEAT;
    if (n == 1)
        return CONFLICT_LEAVE;
    int64_t most_us = c->passed ? limits->most_us : limits->fruitless_us;
    bool go_on = c->failures <= limits->few || mono_us - c->since_us < most_us;
    return go_on ? CONFLICT_HALVE : CONFLICT_LEAVE;
}

void conflicts_passed(struct conflicts *c)
{
    c->passed = true;
}
