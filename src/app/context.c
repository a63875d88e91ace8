/* What every mode that talks to the servers sets up. */
#include "app/context.h"

#include "app/process.h"
#include "base/callback.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/secrets.h"
#include "link/loop.h"
#include "queue/due_queue.h"
#include "release/blockers.h"
#include "release/breakers.h"
#include "release/counter_waits.h"
#include "release/locked.h"
#include "release/refusal_log.h"
#include "store/statements.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Together they keep the promises: what expires goes on being released within 2 s, also when Redis
 * answers nothing though connected, and is exact again within 2 s of its return. */
#define REDIS_CONNECT_US SECOND_US
#define REDIS_COMMAND_US SECOND_US
#define REDIS_BACKOFF_MIN_US (50 * MS_US)
#define REDIS_BACKOFF_MAX_US (500 * MS_US)

/* Descriptors: three streams, the loop's, those libraries open for a moment, both servers', a job's
 * of each kind, who asks for locks, HTTP's listeners and a few clients; and one for each worker. */
#define FILES_NEEDED 29

/* Said at once: with too few every connection would fail, each in words of its own. */
static bool enough_files(const struct config *config)
{
    struct rlimit limit;
    rlim_t needed = FILES_NEEDED + (rlim_t)config->workers;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return true;
    log_event(LOG_ERROR, "The limit of open files (ulimit -n) is too low", LOG_INT, "limit",
              (int64_t)limit.rlim_cur, LOG_INT, "needed", (int64_t)needed, LOG_END);
    return false;
}

/* The former text stays when memory has run out. True when it is another server. */
static bool describe_anew(char **text, char *description)
{
    if (description == NULL)
        return false;
    bool moved = *text == NULL || strcmp(*text, description) != 0;
    free(*text);
    *text = description;
    return moved;
}

/* A server that is named no more is left at once, by all connections: half here and half there
 * they would see two truths. */
static void on_secrets(void *arg)
{
    struct context *c = arg;
    struct redis_link *redis = c->parts.redis;
    if (describe_anew(&c->postgres, secrets_describe_postgres(c->secrets)))
        c->postgres_moves++;
    if (describe_anew(&c->redis, secrets_describe_redis(c->secrets)) && redis != NULL &&
        redis_link_state(redis) == REDIS_LINK_UP)
        redis_link_reset(redis, "the server's address has changed");
}

int context_open(struct context *c, const struct config *config,
                 void (*on_redis)(void *arg, enum redis_state state, const char *reason), void *arg)
{
    memset(c, 0, sizeof(*c));
    struct parts *s = &c->parts;
    s->config = config;
    if (!enough_files(config))
        return -1;
    stats_init(&s->stats);
    c->secrets = secrets_new(config, on_secrets, c);
    if (c->secrets != NULL)
        on_secrets(c);
    s->postgres = (struct pg_source){secrets_conninfo, c->secrets, &c->postgres_moves};
    s->loop = loop_new();
    s->statements = statements_new();
    s->counter_waits = counter_waits_new();
    s->locked = locked_new();
    if (s->loop != NULL)
        s->blockers = blockers_new(s);
    const struct redis_link_options options = {
        .source = {secrets_redis, c->secrets},
        .ca_file = config->redis_ca,
        .connect_timeout_us = REDIS_CONNECT_US,
        .command_timeout_us = REDIS_COMMAND_US,
        .backoff_min_us = REDIS_BACKOFF_MIN_US,
        .backoff_max_us = REDIS_BACKOFF_MAX_US,
        .on_state = on_redis,
        .arg = arg,
    };
    if (s->loop != NULL)
        s->refusal_log = refusal_log_new(s->loop);
    if (s->refusal_log != NULL)
        s->breakers = breakers_new(s->refusal_log);
    if (s->loop != NULL && c->secrets != NULL)
        s->redis = redis_link_new(s->loop, &options);
    if (s->redis != NULL)
        s->queue = due_queue_new(s->redis, config->key_prefix);
    if (c->postgres == NULL || c->redis == NULL || s->statements == NULL ||
        s->counter_waits == NULL || s->breakers == NULL || s->locked == NULL ||
        s->blockers == NULL || s->queue == NULL) {
        log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
        context_close(c);
        return -1;
    }
    return 0;
}

int context_on_end(struct context *c, event_cb *cb, void *arg)
{
    struct loop *loop = c->parts.loop;
    if (loop_on_signal(loop, SIGTERM, cb, arg) != 0 || loop_on_signal(loop, SIGINT, cb, arg) != 0)
        return -1;
    return process_hangup_ignored() ? 0 : loop_on_signal(loop, SIGHUP, cb, arg);
}

void context_close_queue(struct context *c)
{
    due_queue_free(c->parts.queue);
    c->parts.queue = NULL;
}

void context_close(struct context *c)
{
    struct parts *s = &c->parts;
    context_close_queue(c);
    redis_link_free(s->redis);
    counter_waits_free(s->counter_waits);
    breakers_free(s->breakers);
    refusal_log_free(s->refusal_log);
    blockers_free(s->blockers);
    locked_free(s->locked);
    statements_free(s->statements);
    loop_free(s->loop);
    free(c->postgres);
    free(c->redis);
    secrets_free(c->secrets);
    memset(c, 0, sizeof(*c));
}

const char *context_redis_unusable(const struct context *c)
{
    return redis_link_info(c->parts.redis)->cluster
               ? "the Redis at REDIS_URL is a Cluster, which is not supported yet: name a single "
                 "server"
               : NULL;
}
