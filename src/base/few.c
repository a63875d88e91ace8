/* A few records a minute: see few.h. */
#include "base/few.h"

#include "base/time_units.h"

bool few_may(struct few *f, int64_t now_us)
{
    if (f->since_us == 0 || now_us - f->since_us >= MINUTE_US) {
        f->since_us = now_us;
        f->said = 0;
    }
    if (f->said >= FEW_MOST) {
        f->more++;
        return false;
    }
    f->said++;
    return true;
}
