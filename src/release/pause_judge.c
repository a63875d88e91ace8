/* What a look at Redis's pause means. */
#include "release/pause_judge.h"

#include "base/parse.h"

#include <stddef.h>

#define ORDER_MAX INT64_C(253402300799999) /* they are times, up to the year 9999 */

/* No pause that it could end lasts any more. */
static bool is_old(int64_t order, int64_t now_ms)
{
    return now_ms - order > PAUSE_TIME_MAX_US / MS_US;
}

enum pause_verdict pause_judge(const struct pause_sight *known, const struct pause_sight *seen,
                               int64_t now_ms)
{
    if (seen->paused && seen->order == 0) /* by hand */
        return PAUSE_TAKE;
    if (seen->order > known->order)
        return PAUSE_TAKE;
    if (seen->order == known->order)
        return known->paused && !seen->paused ? PAUSE_RESTORE : PAUSE_TAKE;
    return known->paused || !is_old(known->order, now_ms) ? PAUSE_RESTORE : PAUSE_TAKE;
}

int64_t pause_next_order(int64_t seen, int64_t now_ms)
{
    return now_ms > seen ? now_ms : seen + 1;
}

int64_t pause_order_read(const char *text)
{
    int64_t order;
    return text != NULL && parse_int(text, 0, ORDER_MAX, &order) == 0 ? order : 0;
}
