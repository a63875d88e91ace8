/* The source of one address. */
#include "link/redis_source.h"

#include <stddef.h>

static void next(void *arg, redis_target_cb *cb, void *cb_arg)
{
    const struct redis_single *single = arg;
    const struct redis_target target = {.address = single->address(single->arg)};
    cb(cb_arg, &target, NULL);
}

struct redis_source redis_source_single(const struct redis_single *single)
{
    return (struct redis_source){.next = next, .arg = (void *)single};
}
