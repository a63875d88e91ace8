/* Says when a server's clock and this host's lie apart: once when it begins, once when it ends.
 *
 * Releases do not depend on it: an API that reckons expiries by a clock of its own might. */
#ifndef RS_CLOCK_WATCH_H
#define RS_CLOCK_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct clock_watch {
    const char *server; /* as in the metrics: postgres, redis */
    bool apart;         /* what the last record said */
};

/* Takes an offset that is known (server_clock_host_offset_us), and logs if it tells something
 * new. Between one second and half a second what was said last still holds, so that a clock on the
 * edge is no storm. */
void clock_watch_note(struct clock_watch *w, int64_t offset_us);

#endif
