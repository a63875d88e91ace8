/* What the log says of polls and passes that fail. */
#include "feed/failing.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"

void failing_note(struct outage *failing, const char *message, const char *error, bool unexplained)
{
    enum outage_say say = OUTAGE_SILENT;
    if (unexplained)
        say = outage_on(failing, error, true, clock_mono_us());
    log_event(say == OUTAGE_ERROR  ? LOG_ERROR
              : say == OUTAGE_WARN ? LOG_WARN
                                   : LOG_DEBUG,
              message, LOG_STR, "error", error, LOG_INT, "awaySeconds",
              failing->lasted_us / SECOND_US, LOG_END);
}

void failing_over(struct outage *failing)
{
    if (outage_off(failing, clock_mono_us()) == OUTAGE_OVER)
        log_event(LOG_INFO, "The feed's looks succeed again", LOG_STR, "error", failing->reason,
                  LOG_INT, "awaySeconds", failing->lasted_us / SECOND_US, LOG_END);
}
