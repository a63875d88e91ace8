/* How long a pause may be, and what may be given as its reason. */
#include "config/pause_limits.h"

#include "config/config_table.h"

#include <string.h>

bool pause_time_fits(int64_t us)
{
    return us >= PAUSE_TIME_MIN_US && us <= PAUSE_TIME_MAX_US;
}

const char *pause_reason_fault(const char *reason)
{
    size_t len = strlen(reason);
    if (len == 0 || len > PAUSE_REASON_MAX || config_text_fault(reason, false) != NULL)
        return "1 to 500 bytes without control characters";
    return NULL;
}
