/* The due queue: who has a role. */
#include "queue/due_queue.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

void due_holder_name(char name[DUE_HOLDER_SIZE])
{
    char host[128] = "unknown";
    (void)gethostname(host, sizeof(host) - 1);
    snprintf(name, DUE_HOLDER_SIZE, "%s:%ld:%lld", host, (long)getpid(),
             (long long)(clock_mono_us() % 1000000000));
}
