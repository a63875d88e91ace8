/* One connection to the database of one queue, for modes that ask and end. */
#include "app/queue_session.h"

#include "app/modes.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "store/statements.h"

#include <string.h>

#define CONNECT_US (5 * SECOND_US)

void queue_session_end(struct queue_session *s, int status)
{
    s->status = status;
    loop_stop(s->context.parts.loop);
}

void queue_session_failed(struct queue_session *s, const char *error)
{
    log_event(LOG_ERROR, "A queue could not be looked at", LOG_STR, "queue", s->config->queue->name,
              LOG_STR, "error", error, LOG_END);
    queue_session_end(s, EXIT_FAILED);
}

int queue_session_worse(int a, int b)
{
    static const int order[] = {EXIT_FAILED, EXIT_USAGE, EXIT_INCONSISTENT};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return EXIT_DONE;
}

static void on_statements(void *arg, const char *error)
{
    struct queue_session *s = arg;
    s->work->begin(s, error);
}

static void on_state(void *arg, bool up, const char *reason)
{
    struct queue_session *s = arg;
    (void)reason;
    if (!up || s->begun)
        return;
    s->begun = true;
    timer_clear(s->limit);
    if (statements_load(s->context.parts.statements, s->link, &s->context.parts.pg_clock,
                        on_statements, s) != 0)
        queue_session_failed(s, "the connection to Postgres was lost");
}

static void on_limit(void *arg)
{
    struct queue_session *s = arg;
    const char *error = pg_link_last_error(s->link);
    log_event(LOG_ERROR, "Postgres is out of reach", LOG_STR, "queue", s->config->queue->name,
              LOG_STR, "postgres", context_postgres(&s->context), LOG_STR, "error",
              error[0] != '\0' ? error : "no answer within 5 s", LOG_END);
    queue_session_end(s, EXIT_FAILED);
}

static void on_redis(void *arg, enum redis_state state, const char *reason)
{
    (void)arg;
    (void)state;
    (void)reason; /* it is never started */
}

int queue_session_run(const struct config *config, const struct queue_session_work *work)
{
    struct queue_session s;
    memset(&s, 0, sizeof(s));
    s.config = config;
    s.work = work;
    s.arg = work->arg;
    s.status = EXIT_FAILED;
    if (context_open(&s.context, config, on_redis, &s) != 0)
        return EXIT_FAILED;
    const struct pg_link_options options = {
        .source = s.context.parts.postgres,
        .application_name = work->application,
        .on_state = on_state,
        .arg = &s,
    };
    s.link = pg_link_new(s.context.parts.loop, &options);
    s.limit = timer_new(s.context.parts.loop, on_limit, &s);
    if (s.link == NULL || s.limit == NULL) {
        log_event(LOG_ERROR, "Out of memory or file descriptors at start", LOG_END);
    } else {
        timer_after_us(s.limit, CONNECT_US);
        pg_link_start(s.link);
        if (loop_run(s.context.parts.loop) != 0)
            s.status = EXIT_FAILED;
    }
    pg_link_free(s.link);
    work->end(&s);
    timer_free(s.limit);
    context_close(&s.context);
    return s.status;
}
