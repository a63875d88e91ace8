/* Times as text. */
#include "base/iso_time.h"

#include "base/time_units.h"

#include <stddef.h>
#include <stdio.h>
#include <time.h>

/* Down to the second before, also before the epoch, where C's division cuts upwards. */
static int64_t whole_seconds(int64_t us)
{
    return us / SECOND_US - (us % SECOND_US < 0);
}

/* The length of "2025-11-14T01:00:00"; 0: it cannot be written, and the text is empty. */
static size_t put_seconds(int64_t us, char text[ISO_TIME_SIZE])
{
    time_t seconds = (time_t)whole_seconds(us);
    struct tm tm;
    size_t n = 0;
    if (gmtime_r(&seconds, &tm) != NULL)
        n = strftime(text, ISO_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    text[n] = '\0';
    return n;
}

const char *iso_time(int64_t us, char text[ISO_TIME_SIZE])
{
    size_t n = put_seconds(us, text);
    int64_t within = us % SECOND_US;
    int ms = (int)((within + (within < 0 ? SECOND_US : 0)) / MS_US);
    if (n > 0)
        (void)snprintf(text + n, ISO_TIME_SIZE - n, ".%03dZ", ms);
    return text;
}

const char *iso_time_seconds(int64_t us, char text[ISO_TIME_SIZE])
{
    size_t n = put_seconds(us, text);
    if (n > 0)
        (void)snprintf(text + n, ISO_TIME_SIZE - n, "Z");
    return text;
}
