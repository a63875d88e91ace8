/* The life of a connection to Redis: when it is made anew, and whether commands may pass.
 *
 * How it works. The source (redis_source.h) names a target; an attempt (redis_attempt.c) makes the
 * connection (redis_conn.c) usable, and hands it on; the link then opens the gate, watches over the
 * deadline of the oldest request, and, when the connection is lost, begins another attempt after a
 * delay. The connection object is one for the link's whole life; whoever has it is told what
 * happens to it.
 *
 *   DOWN        no connection; the retry timer is armed, unless the link has been stopped
 *   CONNECTING  first the source is asked, under the link's deadline; then the attempt has the
 *               connection, and the deadline is its own
 *   UP          the link has it; the deadline is the oldest request's, armed only with one
 *
 * What must hold:
 * - A connection that is lost counts as DOWN from that moment on (redis_link_state), while `state`
 *   changes on the turn of the loss's report: the gate is closed before anybody is called back.
 * - A command past its deadline costs the connection: its answer could not be told from the next.
 * - The back-off begins anew with the first answer, not with the opening of the gate: a server may
 *   take connections and end each of them. */
#include "link/redis_link_private.h"

#include "base/time_units.h"
#include "link/loop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_attempt(void *arg, const char *reason);

static void report(struct redis_link *link, const char *reason)
{
    link->calling = true;
    link->options.on_state(link->options.arg, link->state, reason);
    link->calling = false;
}

static void on_lost(void *arg, const char *reason)
{
    struct redis_link *link = arg;
    const struct redis_source *source = &link->options.source;
    /* A server that only says where to go was never there. */
    bool passed_on = link->at_once && link->state == REDIS_LINK_CONNECTING;
    link->state = REDIS_LINK_DOWN;
    timer_clear(link->deadline);
    if (link->asking && source->cancel != NULL)
        source->cancel(source->arg);
    link->asking = false;
    if (link->targeted && source->lost != NULL)
        source->lost(source->arg, reason);
    link->targeted = false;
    if (!link->stopped)
        timer_after_us(link->retry, link->at_once ? 0 : backoff_next_us(&link->backoff));
    link->at_once = false;
    if (!passed_on)
        report(link, reason);
}

static void on_oldest(void *arg)
{
    struct redis_link *link = arg;
    int64_t sent_us = redis_requests_oldest_us(&link->conn->requests);
    if (sent_us == INT64_MAX)
        timer_clear(link->deadline);
    else
        timer_at_us(link->deadline, sent_us + link->options.command_timeout_us);
}

/* What the source says of the connection, and why. Returns whether it stays. */
static bool take_course(struct redis_link *link, enum redis_course course, const char *why)
{
    if (course == REDIS_FOLLOW)
        redis_link_follow(link, why);
    else if (course == REDIS_LEAVE)
        redis_conn_lose(link->conn, why);
    return course == REDIS_STAY;
}

static void on_answer(void *arg, const struct redis_reply *reply)
{
    struct redis_link *link = arg;
    const struct redis_source *source = &link->options.source;
    const char *why = redis_reply_str(reply, NULL);
    enum redis_course course = REDIS_STAY;
    if (redis_reply_type(reply) == REDIS_LINK_ERROR && source->refused != NULL)
        course = source->refused(source->arg, reply, &why);
    if (!take_course(link, course, why))
        return;
    if (redis_reply_useless(reply))
        redis_conn_lose(link->conn, redis_reply_str(reply, NULL));
    else
        backoff_reset(&link->backoff);
}

static void on_deadline(void *arg)
{
    struct redis_link *link = arg;
    int64_t us = link->asking ? link->options.connect_timeout_us : link->options.command_timeout_us;
    char reason[64];
    snprintf(reason, sizeof(reason), "%s within %lld ms",
             link->asking ? "nobody has said where Redis is" : "no answer",
             (long long)(us / MS_US));
    redis_conn_lose(link->conn, reason);
}

static void own(struct redis_link *link)
{
    const struct redis_conn_events events = {
        .on_lost = on_lost, .on_answer = on_answer, .on_oldest = on_oldest, .arg = link};
    redis_conn_own(link->conn, &events);
}

static void on_attempt(void *arg, const char *reason)
{
    struct redis_link *link = arg;
    const struct redis_source *source = &link->options.source;
    enum redis_course course = REDIS_STAY;
    const char *why = "";
    assert(link->state == REDIS_LINK_CONNECTING);
    if (reason != NULL) {
        on_lost(link, reason);
        return;
    }
    own(link);
    if (source->greeted != NULL)
        course = source->greeted(source->arg, redis_link_info(link), &why);
    if (!take_course(link, course, why))
        return;
    link->state = REDIS_LINK_UP;
    if (link->was_up)
        link->reconnects++;
    link->was_up = true;
    report(link, NULL);
}

static void on_target(void *arg, const struct redis_target *target, const char *why)
{
    struct redis_link *link = arg;
    assert(link->asking);
    link->asking = false;
    timer_clear(link->deadline);
    if (link->conn->lost)
        return;
    if (target == NULL) {
        redis_conn_lose(link->conn, why);
        return;
    }
    link->targeted = true;
    redis_attempt_start(link->attempt, target);
}

/* Where Redis is, is asked anew at each attempt. */
static void on_retry(void *arg)
{
    struct redis_link *link = arg;
    assert(link->state == REDIS_LINK_DOWN && !link->stopped);
    link->state = REDIS_LINK_CONNECTING;
    own(link); /* until it is the attempt's */
    link->asking = true;
    timer_after_us(link->deadline, link->options.connect_timeout_us);
    link->options.source.next(link->options.source.arg, on_target, link);
}

struct redis_link *redis_link_new(struct loop *loop, const struct redis_link_options *options)
{
    struct redis_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return NULL;
    const struct redis_attempt_options attempt = {
        .timeout_us = options->connect_timeout_us, .done = on_attempt, .arg = link};
    link->options = *options;
    link->state = REDIS_LINK_DOWN;
    link->backoff.min_us = options->backoff_min_us;
    link->backoff.max_us = options->backoff_max_us;
    link->deadline = timer_new_deadline(loop, on_deadline, link);
    link->retry = timer_new(loop, on_retry, link);
    link->conn = redis_conn_new(loop, options->ca_file);
    if (link->conn != NULL)
        link->attempt = redis_attempt_new(loop, link->conn, &attempt);
    if (link->deadline == NULL || link->retry == NULL || link->attempt == NULL) {
        redis_link_free(link);
        return NULL;
    }
    if (link->options.source.attach != NULL)
        link->options.source.attach(link->options.source.arg, link);
    return link;
}

void redis_link_free(struct redis_link *link)
{
    if (link == NULL)
        return;
    const struct redis_source *source = &link->options.source;
    assert(!link->calling);
    link->stopped = true;
    if (link->conn != NULL)
        redis_link_reset(link, "the link was closed");
    if (link->asking && source->cancel != NULL)
        source->cancel(source->arg);
    if (source->attach != NULL)
        source->attach(source->arg, NULL);
    redis_conn_free(link->conn);
    redis_attempt_free(link->attempt);
    timer_free(link->deadline);
    timer_free(link->retry);
    free(link);
}

void redis_link_start(struct redis_link *link)
{
    if (!link->stopped && link->state == REDIS_LINK_DOWN)
        timer_after_us(link->retry, 0);
}

void redis_link_reset(struct redis_link *link, const char *reason)
{
    if (link->state != REDIS_LINK_DOWN)
        redis_conn_lose(link->conn, reason);
}

void redis_link_follow(struct redis_link *link, const char *reason)
{
    link->at_once = link->state != REDIS_LINK_DOWN;
    if (timer_armed(link->retry))
        timer_after_us(link->retry, 0);
    redis_link_reset(link, reason);
}

void redis_link_stop(struct redis_link *link)
{
    link->stopped = true;
    timer_clear(link->retry);
    redis_link_reset(link, "the link was stopped");
}

enum redis_state redis_link_state(const struct redis_link *link)
{
    return link->conn->lost ? REDIS_LINK_DOWN : link->state;
}

const struct redis_server_info *redis_link_info(const struct redis_link *link)
{
    return redis_attempt_info(link->attempt);
}

uint64_t redis_link_reconnects(const struct redis_link *link)
{
    return link->reconnects;
}

const char *redis_link_last_error(const struct redis_link *link)
{
    return link->conn->reason;
}

void redis_link_hold(struct redis_link *link, int64_t until_us)
{
    redis_conn_hold(link->conn, until_us);
}

int redis_link_command(struct redis_link *link, redis_link_cb *cb, void *arg, int argc,
                       const char *const *argv, const size_t *lengths)
{
    if (redis_link_state(link) != REDIS_LINK_UP)
        return -1;
    return redis_requests_command(&link->conn->requests, cb, arg, argc, argv, lengths);
}

int redis_link_script(struct redis_link *link, redis_link_cb *cb, void *arg,
                      const struct lua_script *script, int nkeys, int nargs,
                      const char *const *args, const size_t *lengths)
{
    if (redis_link_state(link) != REDIS_LINK_UP)
        return -1;
    return redis_requests_script(&link->conn->requests, cb, arg, script, nkeys, nargs, args,
                                 lengths);
}
