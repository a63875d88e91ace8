/* --check-config: what Redis is like, and whether it lets the sweeper do all that it does. */
#include "app/check_redis.h"

#include "app/check_report.h"
#include "app/context.h"
#include "link/redis_finder.h"
#include "queue/due_queue.h"

#include <stdio.h>
#include <string.h>

/* Only roles have an end. */
static void look_at_eviction(const char *policy)
{
    if (policy[0] == '\0' || strcmp(policy, "noeviction") == 0)
        return;
    if (strncmp(policy, "volatile-", strlen("volatile-")) == 0)
        check_note("Redis may evict keys that have an end (maxmemory-policy %s): entries have none "
                   "and stay; an evicted role costs one poll",
                   policy);
    else
        check_note("Redis evicts keys (maxmemory-policy %s): entries that go missing are only "
                   "found by the overdue scan; set noeviction",
                   policy);
}

static void look_at_server(const struct redis_server_info *info)
{
    if (info->version[0] == '\0')
        check_note("Redis does not answer INFO: whether it evicts keys, is a replica or a Cluster "
                   "is not known");
    look_at_eviction(info->maxmemory_policy);
}

static void on_probed(void *arg, const char *error)
{
    struct check_redis *c = arg;
    if (c->report->done[CHECK_KEYS] || redis_link_state(c->context->parts.redis) != REDIS_LINK_UP ||
        (error != NULL && strncmp(error, "MOVED ", strlen("MOVED ")) == 0))
        return; /* it is tried again, or followed, until the limit */
    if (error != NULL)
        check_fail(c->report, "Redis at %s refuses what the sweeper asks of it: %s",
                   context_redis(c->context), error);
    else
        check_ok("Redis: rights, memory, types of keys");
    check_done(c->report, CHECK_KEYS);
}

void check_redis_server(struct check_redis *c)
{
    const struct redis_server_info *info = redis_link_info(c->context->parts.redis);
    const struct redis_where *where = redis_finder_where(c->context->parts.finder);
    const char *deaf = redis_finder_deaf(c->context->parts.finder);
    char server[sizeof(info->server) + sizeof(info->version)] = "Redis"; /* without +info */
    if (info->server[0] != '\0')
        snprintf(server, sizeof(server), "%s %s", info->server, info->version);
    if (where->slot < 0 && where->service[0] == '\0')
        check_ok("%s at %s", server, context_redis(c->context));
    else
        check_ok("%s at %s: the %s %s, found for %s", server, context_redis(c->context),
                 where->role, where->node, where->found);
    if (deaf != NULL)
        check_note(
            "A failover is noticed within a second or two only, as a Sentinel refuses to say "
            "at once that the master is another one: %s",
            deaf);
    look_at_server(info);
    check_done(c->report, CHECK_REDIS);
}

void check_redis_keys(struct check_redis *c)
{
    if (due_queue_probe(c->context->parts.queue, on_probed, c) != 0)
        on_probed(c, "out of memory");
}
