/* --check-config: what Redis is like. */
#include "check_private.h"

#include <string.h>

void check_redis_begin(struct check *c)
{
    const struct redis_server_info *info = redis_link_info(c->context.sweep.redis);
    const char *unusable = context_redis_unusable(&c->context);
    if (unusable != NULL)
        check_fail(c, "%s", unusable);
    else
        check_ok("Redis %s at %s", info->version, c->context.redis);
    if (info->maxmemory_policy[0] != '\0' && strcmp(info->maxmemory_policy, "noeviction") != 0)
        check_note("Redis evicts keys (maxmemory-policy %s): entries that go missing are only "
                   "found by the overdue scan; set noeviction",
                   info->maxmemory_policy);
    check_done(c, CHECK_REDIS);
}
