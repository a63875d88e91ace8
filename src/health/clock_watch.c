/* A record when a server's clock leaves this host's, and one when it is back. */
#include "health/clock_watch.h"

#include "base/log.h"
#include "base/time_units.h"

#include <stdlib.h>

#define APART_US SECOND_US
#define TOGETHER_US (500 * MS_US)

void clock_watch_note(struct clock_watch *w, int64_t offset_us)
{
    int64_t apart_us = llabs(offset_us);
    bool apart = apart_us > APART_US || (w->apart && apart_us >= TOGETHER_US);
    if (apart == w->apart)
        return;
    w->apart = apart;
    const char *queue = log_set_queue(NULL); /* it is the server's */
    log_event(apart ? LOG_WARN : LOG_INFO,
              apart ? "A server's clock and this host's are apart; Postgres's decides"
                    : "A server's clock and this host's agree again",
              LOG_STR, "server", w->server, LOG_INT, "clockOffsetMs", offset_us / MS_US, LOG_END);
    (void)log_set_queue(queue);
}
