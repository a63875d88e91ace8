/* A release that waits at its COMMIT for a synchronous standby. */
#include "release/standby_wait.h"

#include "base/log.h"
#include "base/time_units.h"
#include "link/pg_link.h"

void standby_wait_note(struct standby_wait *w, const struct pg_result *r, int64_t now_us)
{
    bool waits = pg_result_rows(r) > 0 && pg_result_columns(r) == 3;
    enum outage_say say = waits ? outage_on(&w->outage, pg_result_text(r, 0, 2), true, now_us)
                                : outage_off(&w->outage, now_us);
    if (say == OUTAGE_OVER)
        log_event(LOG_INFO, "Releases wait for no synchronous standby any more", LOG_INT,
                  "awaySeconds", w->outage.lasted_us / SECOND_US, LOG_END);
    else if (say == OUTAGE_WARN || say == OUTAGE_ERROR)
        log_event(say == OUTAGE_ERROR ? LOG_ERROR : LOG_WARN,
                  "A release waits at its COMMIT for a synchronous standby; no other is made",
                  LOG_STR, "standbyNames", w->outage.reason, LOG_INT, "pid", pg_result_int(r, 0, 0),
                  LOG_INT, "awaySeconds", pg_result_int(r, 0, 1), LOG_END);
}

int64_t standby_wait_since_us(const struct standby_wait *w)
{
    return w->outage.since_us;
}
