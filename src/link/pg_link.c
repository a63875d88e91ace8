/* The life of a connection to Postgres: its states, its one request, and what ends them.
 *
 * How it works. Events of the loop drive a machine of five states (the table in
 * pg_link_private.h); enter() alone changes the state, and leaving UP closes the connection and
 * disarms what belonged to it. An attempt to connect is an object of its own (pg_attempt.c), so is
 * what has come of a request (pg_request.c); here is what one means for the other.
 *
 * What must hold:
 * - A request that was taken fails or succeeds exactly once, on a turn of its own, never inside
 *   pg_link_send: what goes wrong there arms `later`. deliver() empties the link's request before
 * it calls back, since the callback may send the next one.
 * - The request is answered before the loss is reported, and the connection is closed before both:
 *   whoever is called back finds the link as it will be.
 * - A callback may stop the link, so whatever calls back does it last, or looks at the state after.
 * - The socket is read before it is written to: a server that hangs up has said why. Its parting
 *   words are kept (farewell), since all that libpq says afterwards is "closed unexpectedly".
 * - What libpq has read from TLS is not seen by the loop: a second look takes it.
 * - A connection that worked is made anew at once; one that keeps dying young is not. */
#include "link/pg_link_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "link/pg_attempt.h"
#include "link/pg_hosts.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is usual, where the options say nothing. */
#define CONNECT_US (5 * SECOND_US)
#define BACKOFF_MIN_US (50 * MS_US)
#define BACKOFF_MAX_US SECOND_US

/* What has lived for so long is made anew at once, what has worked after a moment. */
#define LIVED_US SECOND_US
#define YOUNG_DELAY_US (50 * MS_US)

static void enter(struct pg_link *link, enum pg_link_state state)
{
    if (state == PG_LINK_WAITING || state == PG_LINK_STOPPED) {
        timer_clear(link->retry);
        timer_clear(link->deadline);
        timer_clear(link->later);
        pg_attempt_cancel(link->attempt);
        /* Before libpq closes the descriptor. When it has done so by itself, after an error while
         * reading, nothing has opened another since. */
        (void)event_del(link->io);
        PQfinish(link->conn);
        link->conn = NULL;
        link->writing = false;
    }
    link->state = state;
    assert((link->conn != NULL) == (state == PG_LINK_UP));
}

static void report(struct pg_link *link, bool up, const char *reason)
{
    if (link->on_state == NULL)
        return;
    link->calling = true;
    link->on_state(link->arg, up, reason);
    link->calling = false;
}

/* Answers the request: what is not finished by now will never be known. */
static void deliver(struct pg_link *link, const char *reason)
{
    struct pg_request request = link->request; /* the callback may send the next one */
    struct pg_answer answer = pg_request_answer(&request, reason);
    assert(request.active);
    memset(&link->request, 0, sizeof(link->request));
    link->other_level = link->other_level || strcmp(answer.sqlstate, PG_LINK_OTHER_LEVEL) == 0;
    link->calling = true;
    request.cb(request.arg, &answer);
    link->calling = false;
    pg_request_clear(&request);
}

static int64_t retry_delay_us(struct pg_link *link)
{
    int64_t lived_us = clock_mono_us() - link->up_since_us;
    if (link->state != PG_LINK_UP || pg_request_server_useless(&link->request))
        return backoff_next_us(&link->backoff);
    if (lived_us >= LIVED_US) {
        backoff_reset(&link->backoff);
        return 0;
    }
    return link->proved ? YOUNG_DELAY_US : backoff_next_us(&link->backoff);
}

static void drop(struct pg_link *link, const char *reason)
{
    int64_t delay_us = retry_delay_us(link);
    /* The reason may live in the connection that is closed next. */
    pg_reason_line(link->last_error, sizeof(link->last_error), reason);
    enter(link, PG_LINK_WAITING);
    timer_after_us(link->retry, delay_us);
    if (link->request.active)
        deliver(link, link->last_error);
    if (link->state != PG_LINK_STOPPED)
        report(link, false, link->last_error);
}

/* The connection is dead. What the server said in parting is worth more than what libpq made of it.
 */
static void drop_dead(struct pg_link *link)
{
    const char *reason = PQerrorMessage(link->conn);
    if (link->request.message[0] != '\0')
        reason = link->request.message;
    else if (link->farewell[0] != '\0')
        reason = link->farewell;
    else if (reason[0] == '\0')
        reason = "the connection was lost";
    drop(link, reason);
}

/* What announces the end of the connection is kept. */
static void on_notice(void *arg, const PGresult *res)
{
    struct pg_link *link = arg;
    const char *severity = pg_severity(res);
    const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    char message[PG_MESSAGE_SIZE];
    (void)pg_notice_log(res, message, sizeof(message));
    if ((severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0)) ||
        (sqlstate != NULL && strncmp(sqlstate, "57P", 3) == 0))
        memcpy(link->farewell, message, sizeof(link->farewell));
}

/* False when the connection is dead; what came before that is taken all the same. */
static bool read_available(struct pg_link *link)
{
    /* An encrypted record can be larger than what libpq takes at once; the rest waits in the TLS
     * library, where the loop cannot see it. A second look takes it. */
    int looks = PQsslInUse(link->conn) || PQgssEncInUse(link->conn) ? 2 : 1;
    bool alive = true;
    for (; looks > 0 && alive; looks--) {
        alive = PQconsumeInput(link->conn) == 1;
        /* Now: asked again, libpq would add that the socket is invalid. A parting notice may
         * still be in its buffer, and replaces this. */
        if (!alive && link->farewell[0] == '\0')
            pg_reason_line(link->farewell, sizeof(link->farewell), PQerrorMessage(link->conn));
        if (!link->request.active) {
            (void)PQisBusy(link->conn); /* parses what came, and so calls the notice receiver */
            continue;
        }
        link->request.received_us = clock_mono_us();
        pg_request_collect(&link->request, link->conn, &link->names);
        if (link->request.finished || link->request.broken)
            break;
    }
    pg_socket_discard_notifications(link->conn);
    if (link->request.finished && !link->request.failed) {
        link->proved = true;
        backoff_reset(&link->backoff);
    }
    return alive && !link->request.broken;
}

static void on_socket(int fd, short what, void *arg);

static int watch(struct pg_link *link, short what)
{
    return pg_socket_watch(link->io, link->loop, link->conn, what, on_socket, link);
}

/* Writes what can be written and waits for what is left. False when the connection is dead. */
static bool flush(struct pg_link *link)
{
    int left = PQflush(link->conn);
    bool writing = left == 1;
    if (left < 0)
        return false;
    if (writing == link->writing)
        return true;
    link->writing = writing;
    return watch(link, writing ? EV_READ | EV_WRITE : EV_READ) == 0;
}

static void serve_socket(struct pg_link *link, short what)
{
    assert(link->state == PG_LINK_UP);
    /* Reading first: a server that hangs up says why, and writing to it would only fail. */
    if ((what & EV_READ) != 0 && !read_available(link)) {
        drop_dead(link);
        return;
    }
    if (!flush(link) || pg_request_server_useless(&link->request)) {
        drop_dead(link);
        return;
    }
    if (link->request.finished) {
        timer_clear(link->deadline);
        deliver(link, "");
    }
}

static void on_socket(int fd, short what, void *arg)
{
    struct pg_link *link = arg;
    const char *queue = log_set_queue(link->queue);
    (void)fd;
    serve_socket(link, what);
    (void)log_set_queue(queue);
}

static void on_attempt(void *arg, PGconn *conn, const char *text)
{
    struct pg_link *link = arg;
    assert(link->state == PG_LINK_CONNECTING);
    if (conn == NULL) {
        drop(link, text);
        return;
    }
    if (pg_home_moves(link->source.home) !=
        link->moves) { /* another link has gone elsewhere meanwhile */
        PQfinish(conn);
        enter(link, PG_LINK_WAITING);
        timer_after_us(link->retry, 0);
        return;
    }
    pg_home_arrive(link->source.home, text);
    link->moves = pg_home_moves(link->source.home);
    link->conn = conn;
    enter(link, PG_LINK_UP);
    link->up_since_us = clock_mono_us();
    link->proved = false;
    link->farewell[0] = '\0';
    pg_names_connected(&link->names);
    (void)PQsetNoticeReceiver(conn, on_notice, link);
    if (watch(link, EV_READ) != 0) {
        drop(link, "the event loop refused the socket");
        return;
    }
    if (link->was_up)
        link->reconnects++;
    link->was_up = true;
    report(link, true, "");
}

static void on_retry(void *arg)
{
    struct pg_link *link = arg;
    const char *conninfo = link->source.conninfo(link->source.arg);
    link->moves = pg_home_moves(link->source.home);
    enter(link, PG_LINK_CONNECTING);
    pg_attempt_start(link->attempt, conninfo);
}

static void on_deadline(void *arg)
{
    struct pg_link *link = arg;
    char reason[64];
    assert(link->state == PG_LINK_UP && link->request.active);
    (void)snprintf(reason, sizeof(reason), "no answer within %lld ms",
                   (long long)(link->request.deadline_us / MS_US));
    if (pg_home_moves(link->source.home) == link->moves)
        pg_home_silent(link->source.home, NULL);
    drop(link, reason);
}

static void on_later(void *arg)
{
    struct pg_link *link = arg;
    if (link->state == PG_LINK_STOPPED)
        deliver(link, "the link was stopped");
    else
        drop_dead(link);
}

static int64_t or_usual(int64_t given_us, int64_t usual_us)
{
    return given_us > 0 ? given_us : usual_us;
}

static struct pg_attempt *new_attempt(struct pg_link *link, const struct pg_link_options *options)
{
    const struct pg_attempt_options attempt = {
        .application_name = options->application_name,
        .home = options->source.home,
        .timeout_us = or_usual(options->connect_timeout_us, CONNECT_US),
        .read_only_ok = options->read_only_ok,
        .done = on_attempt,
        .arg = link,
    };
    return pg_attempt_new(link->loop, &attempt);
}

struct pg_link *pg_link_new(struct loop *loop, const struct pg_link_options *options)
{
    struct pg_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return NULL;
    link->loop = loop;
    link->queue = log_queue();
    link->backoff.min_us = or_usual(options->backoff_min_us, BACKOFF_MIN_US);
    link->backoff.max_us = or_usual(options->backoff_max_us, BACKOFF_MAX_US);
    link->on_state = options->on_state;
    link->arg = options->arg;
    link->source = options->source;
    link->names.mode = options->prepare;
    link->attempt = new_attempt(link, options);
    link->io = event_new(loop_base(loop), -1, 0, on_socket, link);
    link->retry = timer_new(loop, on_retry, link);
    link->deadline = timer_new_deadline(loop, on_deadline, link);
    link->later = timer_new(loop, on_later, link);
    if (link->attempt == NULL || link->io == NULL || link->retry == NULL ||
        link->deadline == NULL || link->later == NULL) {
        pg_link_free(link);
        return NULL;
    }
    return link;
}

void pg_link_free(struct pg_link *link)
{
    if (link == NULL)
        return;
    assert(!link->calling);
    if (link->state != PG_LINK_NEW)
        pg_link_stop(link);
    if (link->request.active)
        deliver(link, "the link was closed");
    timer_free(link->retry);
    timer_free(link->deadline);
    timer_free(link->later);
    if (link->io != NULL)
        event_free(link->io);
    pg_attempt_free(link->attempt);
    free(link);
}

void pg_link_start(struct pg_link *link)
{
    assert(link->state == PG_LINK_NEW);
    enter(link, PG_LINK_WAITING);
    timer_after_us(link->retry, 0);
}

void pg_link_renew(struct pg_link *link, const char *reason)
{
    assert(!link->calling && !link->request.active);
    if (link->state == PG_LINK_UP)
        drop(link, reason);
}

void pg_link_stop(struct pg_link *link)
{
    enter(link, PG_LINK_STOPPED);
    if (link->request.active)
        timer_after_us(link->later, 0);
}

/* Whether the source names another server now: then this one is left on a later turn. */
static bool has_to_leave(struct pg_link *link)
{
    if (pg_home_moves(link->source.home) == link->moves)
        return false;
    pg_one_line(link->farewell, sizeof(link->farewell), "the server's address has changed");
    timer_after_us(link->later, 0);
    return true;
}

void pg_link_follow(struct pg_link *link)
{
    if (link->state == PG_LINK_UP && !link->request.active)
        (void)has_to_leave(link);
}

int pg_link_send(struct pg_link *link, const struct pg_query *queries, int nqueries,
                 int64_t deadline_us, pg_answer_cb *cb, void *arg)
{
    struct pg_request *request = &link->request;
    if (link->state != PG_LINK_UP || request->active)
        return -1;
    if (has_to_leave(link))
        return -1;
    bool own = !queries[0].isolates || link->other_level;
    if (pg_request_begin(request, nqueries, own, &link->source) != 0)
        return -1;
    request->deadline_us = deadline_us;
    request->cb = cb;
    request->arg = arg;
    request->sent_us = clock_mono_us();
    timer_after_us(link->deadline, deadline_us);
    if (!pg_request_queue(request, link->conn, queries, &link->names) || !flush(link))
        timer_after_us(link->later, 0);
    return 0;
}
