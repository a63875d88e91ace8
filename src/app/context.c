/* What every mode that talks to the servers sets up. */
#include "app/context.h"

#include "app/process.h"
#include "base/callback.h"
#include "base/log.h"
#include "config/config.h"
#include "config/queues.h"
#include "link/loop.h"
#include "queue/due_queue.h"
#include "release/announcer.h"
#include "release/blockers.h"
#include "release/breakers.h"
#include "release/counter_waits.h"
#include "release/keeps.h"
#include "release/locked.h"
#include "release/refusal_log.h"
#include "store/statements.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

/* Descriptors: three streams, the loop's, those libraries open for a moment, both servers', a job's
 * of each kind, who asks for locks, HTTP's listeners and a few clients; and one for each worker. */
#define FILES_NEEDED 31
/* Of each queue beyond the first: the feed's, who asks for locks, a sweep's, Redis's, and whom is
 * asked where that is. */
#define FILES_OF_QUEUE 5

/* Said at once: with too few every connection would fail, each in words of its own. */
bool enough_files(const struct config *config, int nqueues)
{
    struct rlimit limit;
    rlim_t needed = FILES_NEEDED + (rlim_t)(nqueues - 1) * FILES_OF_QUEUE;
    for (int i = 0; i < nqueues; i++)
        needed += (rlim_t)(nqueues > 1 ? config_queue(config, i) : config)->workers;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return true;
    log_event(LOG_ERROR, "The limit of open files (ulimit -n) is too low", LOG_INT, "limit",
              (int64_t)limit.rlim_cur, LOG_INT, "needed", (int64_t)needed, LOG_END);
    return false;
}

static void on_answered(void *arg, int64_t us)
{
    struct stats *stats = arg;
    stats_observe(&stats->redis_request_s, (double)us / 1e6);
}

int queue_parts_init(struct parts *s, struct servers *servers, struct database *database,
                     const struct config *config, const struct queue_redis *redis)
{
    memset(s, 0, sizeof(*s));
    s->config = config;
    stats_init(&s->stats);
    s->loop = servers->loop;
    s->redis = redis->link;
    s->finder = redis->finder;
    s->postgres = database_source(database, config->queue);
    s->statements = statements_new(s->config->queue);
    s->counter_waits = counter_waits_new();
    s->locked = locked_new();
    s->keeps = keeps_new(&s->config->queue->keep);
    s->blockers = blockers_new(s);
    s->refusal_log = refusal_log_new(s->loop);
    if (s->refusal_log != NULL)
        s->breakers = breakers_new(s->config->queue, s->refusal_log);
    s->queue = due_queue_new(s->redis, config->key_prefix);
    if (s->queue != NULL)
        due_queue_on_answered(s->queue, on_answered, &s->stats);
    if (config->queue->notify.text != NULL && (s->announcer = announcer_new(s)) == NULL)
        return -1;
    return s->statements != NULL && s->counter_waits != NULL && s->breakers != NULL &&
                   s->locked != NULL && s->keeps != NULL && s->blockers != NULL && s->queue != NULL
               ? 0
               : -1;
}

void queue_parts_clear(struct parts *s)
{
    due_queue_free(s->queue);
    announcer_free(s->announcer);
    counter_waits_free(s->counter_waits);
    breakers_free(s->breakers);
    refusal_log_free(s->refusal_log);
    blockers_free(s->blockers);
    locked_free(s->locked);
    keeps_free(s->keeps);
    statements_free(s->statements);
}

int context_open(struct context *c, const struct config *config, redis_state_cb *on_redis,
                 void *arg)
{
    memset(c, 0, sizeof(*c));
    if (!enough_files(config, 1))
        return -1;
    if (servers_open(&c->servers, config) == 0) {
        c->database = servers_database(&c->servers, config, false);
        c->redis = servers_redis_open(&c->servers, config->key_prefix, on_redis, arg);
    }
    if (c->database != NULL && c->redis != NULL &&
        queue_parts_init(&c->parts, &c->servers, c->database, config, c->redis) == 0)
        return 0;
    log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
    context_close(c);
    return -1;
}

int context_on_end(struct context *c, event_cb *cb, void *arg)
{
    struct loop *loop = c->servers.loop;
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
    context_close_queue(c);
    servers_redis_close(c->redis); /* whose last callbacks reach the parts */
    queue_parts_clear(&c->parts);
    servers_close(&c->servers);
    memset(c, 0, sizeof(*c));
}

const char *context_postgres(const struct context *c)
{
    return c->database->address;
}

const char *context_redis(const struct context *c)
{
    return c->servers.redis_address;
}

const char *context_redis_fault(const struct context *c)
{
    return redis_finder_fault(c->redis->finder);
}
