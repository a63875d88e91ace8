/* What the parts of one sweeper share. */
#include "release/parts.h"

#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "link/redis_link.h"
#include "queue/redis_use.h"
#include "store/statements.h"

#define STATEMENT_TIMEOUT_MAX_US (5 * SECOND_US)

bool parts_redis_usable(const struct parts *s)
{
    if (s->redis_use != NULL)
        return redis_use_ok(s->redis_use);
    return s->redis != NULL && redis_link_state(s->redis) == REDIS_LINK_UP;
}

bool parts_degraded(const struct parts *s)
{
    return s->redis_use != NULL && redis_use_degraded(s->redis_use);
}

int64_t parts_statement_timeout_us(const struct config *config)
{
    int64_t us = config->lease_us * 2 / 5;
    bool calls = config->queue->call.name != NULL; /* the shop's function has all of it */
    return us < STATEMENT_TIMEOUT_MAX_US || calls ? us : STATEMENT_TIMEOUT_MAX_US;
}

struct batch *parts_batch_new(struct parts *s, struct pg_link *link)
{
    const struct config *c = s->config;
    const struct batch_options options = {
        .loop = s->loop,
        .link = link,
        .statements = s->statements,
        .clock = &s->pg_clock,
        .counter_waits = s->counter_waits,
        .breakers = s->breakers,
        .locked = s->locked,
        .blockers = s->blockers,
        .pg_watch = s->pg_watch,
        .fault = &s->fault,
        .stats = &s->stats,
        .running = &s->batches,
        .lock_timeout_us = c->lock_timeout_us,
        /* Who has asked for more than one worker has asked for speed. */
        .bulk_lock_timeout_us = c->workers > 1 ? c->lock_timeout_us : c->lock_timeout_us / 10,
        .statement_timeout_us = parts_statement_timeout_us(c),
        .careful = &s->careful,
        .synchronous_commit = c->synchronous_commit,
        .commit_notices = &s->commit_notices,
    };
    return batch_new(&options);
}

void parts_note_sizes(struct parts *s, const struct due_sizes *sizes, int64_t sent_us,
                      int64_t received_us)
{
    int64_t inflight = s->sizes.inflight;
    s->sizes = *sizes;
    if (sizes->inflight == DUE_NOT_COUNTED)
        s->sizes.inflight = inflight;
    else
        s->sizes_us = received_us;
    server_clock_sample(&s->redis_clock, sizes->redis_us, sent_us, received_us);
}

void parts_note_catalog(struct parts *s)
{
    const char *problem = statements_problem(s->statements);
    int64_t now_us = clock_mono_us();
    enum outage_say say = problem[0] != '\0' ? outage_on(&s->unusable, problem, true, now_us)
                                             : outage_off(&s->unusable, now_us);
    if (say == OUTAGE_WARN || say == OUTAGE_ERROR)
        log_event(say == OUTAGE_WARN ? LOG_WARN : LOG_ERROR, "The database cannot be used as it is",
                  LOG_STR, "error", problem, LOG_INT, "awaySeconds",
                  s->unusable.lasted_us / SECOND_US, LOG_END);
    else if (say == OUTAGE_OVER)
        log_event(LOG_INFO, "The database can be used again", LOG_INT, "awaySeconds",
                  s->unusable.lasted_us / SECOND_US, LOG_END);
}
