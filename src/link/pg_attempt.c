/* One attempt to connect to Postgres, turn by turn.
 *
 * PQconnectPoll says what it waits for, and the loop waits for that. What must hold:
 * - The socket may be another one after each PQconnectPoll (the next host, or the same without
 *   encryption), perhaps of the same number. So the event is taken from the loop before libpq is
 *   asked, and made anew for the socket that there is then.
 * - libpq's connect_timeout counts in its blocking calls alone: the deadline is a timer here,
 *   for all hosts together.
 * - libpq resolves host names with a blocking getaddrinfo, in PQconnectStartParams and in
 *   PQconnectPoll: the loop stands still for as long as the resolver's own timeouts allow
 *   (resolv.conf), at a connect only; an address or a local resolver avoids it. What others wait
 *   for is given so much more time (loop_blocked): else two links would give up each other's
 *   attempts for ever. The deadline is armed after the first call, so that a slow resolver does
 *   not use it up.
 * - What connects is not yet what can be used: a server that is too old, or cannot be written to,
 *   is refused here, before anybody sees the connection.
 * - PQfinish on every way out: the connection is given away or closed, never kept. */
#include "link/pg_attempt.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "link/pg_conninfo_private.h"
#include "link/pg_link_private.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_VERSION_MIN 120000

struct pg_attempt {
    struct loop *loop;
    char *application_name;
    int64_t timeout_us;
    bool read_only_ok;
    pg_attempt_cb *done;
    void *arg;
    const char *queue;      /* of the log, when it was made */
    PGconn *conn;           /* NULL: no attempt is under way */
    struct event *io;       /* on conn's socket; never pending without conn */
    struct timer *deadline; /* armed while an attempt is under way, once libpq has begun it */
};

static void on_connecting(int fd, short what, void *arg);

/* Takes the connection from the attempt, which is over. */
static PGconn *take(struct pg_attempt *a)
{
    PGconn *conn = a->conn;
    timer_clear(a->deadline);
    (void)event_del(a->io); /* before libpq closes the descriptor */
    a->conn = NULL;
    return conn;
}

static void fail(struct pg_attempt *a, const char *reason)
{
    char copy[PG_MESSAGE_SIZE]; /* it may live in the connection */
    pg_one_line(copy, sizeof(copy), reason);
    PQfinish(take(a));
    a->done(a->arg, NULL, copy);
}

static void fail_with_library_error(struct pg_attempt *a)
{
    char reason[PG_MESSAGE_SIZE];
    pg_one_line(reason, sizeof(reason), PQerrorMessage(a->conn));
    fail(a, reason[0] != '\0' ? reason : "the connection failed");
}

/* NULL, or why not. */
static const char *why_unusable(const struct pg_attempt *a, char *buffer, size_t size)
{
    static const char *const read_only[] = {"in_hot_standby", "default_transaction_read_only"};
    if (PQserverVersion(a->conn) < SERVER_VERSION_MIN) {
        const char *version = PQparameterStatus(a->conn, "server_version");
        (void)snprintf(buffer, size, "the server is PostgreSQL %.20s: 12 or later is needed",
                       version != NULL ? version : "(unknown)");
        return buffer;
    }
    /* Reported by PostgreSQL 14 and later; an older one says 25006 to the first change. */
    for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]) && !a->read_only_ok; i++) {
        const char *value = PQparameterStatus(a->conn, read_only[i]);
        if (value != NULL && strcmp(value, "on") == 0) {
            (void)snprintf(buffer, size, "the server is read-only (%s is on)", read_only[i]);
            return buffer;
        }
    }
    return NULL;
}

static void succeed(struct pg_attempt *a)
{
    char buffer[128];
    const char *reason = why_unusable(a, buffer, sizeof(buffer));
    if (reason != NULL)
        fail(a, reason);
    else if (PQsetnonblocking(a->conn, 1) != 0 || PQenterPipelineMode(a->conn) != 1)
        fail_with_library_error(a);
    else
        a->done(a->arg, take(a), "");
}

static void proceed(struct pg_attempt *a, PostgresPollingStatusType status)
{
    switch (status) {
    case PGRES_POLLING_OK:
        succeed(a);
        return;
    case PGRES_POLLING_READING:
    case PGRES_POLLING_WRITING:
        if (pg_socket_watch(a->io, a->loop, a->conn,
                            status == PGRES_POLLING_READING ? EV_READ : EV_WRITE, on_connecting,
                            a) != 0)
            fail(a, "the event loop refused the socket");
        return;
    default:
        fail_with_library_error(a);
        return;
    }
}

static void on_connecting(int fd, short what, void *arg)
{
    struct pg_attempt *a = arg;
    (void)fd;
    (void)what;
    assert(a->conn != NULL);
    (void)event_del(a->io);
    const char *queue = log_set_queue(a->queue);
    int64_t asked_us = clock_mono_us();
    PostgresPollingStatusType status = PQconnectPoll(a->conn);
    loop_blocked(a->loop, clock_mono_us() - asked_us);
    proceed(a, status);
    (void)log_set_queue(queue);
}

static void on_deadline(void *arg)
{
    struct pg_attempt *a = arg;
    char reason[64];
    (void)snprintf(reason, sizeof(reason), "no connection within %lld ms",
                   (long long)(a->timeout_us / MS_US));
    fail(a, reason);
}

/* Nothing in it announces the end of a connection that works: that comes later, to its owner. */
static void on_notice(void *arg, const PGresult *res)
{
    char message[PG_MESSAGE_SIZE];
    (void)arg;
    (void)pg_notice_log(res, message, sizeof(message));
}

/* Of several hosts the one that can be written to is meant, unless somebody says otherwise: the
 * first that answers may be a standby, at every attempt. */
static bool wants_primary(const char *conninfo)
{
    PQconninfoOption *given;
    PQconninfoOption *effective;
    const char *mode;
    bool told;
    bool several;
    if (getenv("PGTARGETSESSIONATTRS") != NULL)
        return false;
    given = PQconninfoParse(conninfo, NULL);
    effective = pg_conninfo_effective(conninfo);
    mode = pg_conninfo_value(effective, "target_session_attrs");
    told = pg_conninfo_value(given, "target_session_attrs") != NULL ||
           (mode != NULL && strcmp(mode, "any") != 0); /* a service may say so */
    several = pg_conninfo_hosts(effective) > 1;
    PQconninfoFree(given);
    PQconninfoFree(effective);
    return several && !told;
}

/* The connection string stands after the defaults that it may override and before those it may
 * not: ids are sent as UTF-8 whatever the environment says. A peer that vanished without a word is
 * given up within seconds, also while its SYN is unanswered, so that a second host is tried within
 * the attempt. */
static PGconn *begin(const struct pg_attempt *a, const char *conninfo)
{
    const char *const keywords[] = {"fallback_application_name", "keepalives",
                                    "keepalives_idle",           "keepalives_interval",
                                    "keepalives_count",          "tcp_user_timeout",
                                    "target_session_attrs",      "dbname",
                                    "client_encoding",           NULL};
    const char *const values[] = {a->application_name,
                                  "1",
                                  "5",
                                  "2",
                                  "3",
                                  "3000",
                                  wants_primary(conninfo) ? "read-write" : NULL,
                                  conninfo,
                                  "UTF8",
                                  NULL};
    int64_t asked_us = clock_mono_us();
    PGconn *conn = PQconnectStartParams(keywords, values, 1);
    loop_blocked(a->loop, clock_mono_us() - asked_us);
    return conn;
}

void pg_attempt_start(struct pg_attempt *a, const char *conninfo)
{
    assert(a->conn == NULL);
    a->conn = begin(a, conninfo);
    if (a->conn == NULL) {
        fail(a, "out of memory");
        return;
    }
    timer_after_us(a->deadline, a->timeout_us);
    (void)PQsetNoticeReceiver(a->conn, on_notice, NULL);
    if (PQstatus(a->conn) == CONNECTION_BAD)
        fail_with_library_error(a);
    else
        proceed(a, PGRES_POLLING_WRITING); /* as if PQconnectPoll had said so (the manual) */
}

void pg_attempt_cancel(struct pg_attempt *a)
{
    PQfinish(take(a));
}

struct pg_attempt *pg_attempt_new(struct loop *loop, const struct pg_attempt_options *options)
{
    struct pg_attempt *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->loop = loop;
    a->queue = log_queue();
    a->timeout_us = options->timeout_us;
    a->read_only_ok = options->read_only_ok;
    a->done = options->done;
    a->arg = options->arg;
    a->application_name = strdup(options->application_name);
    a->io = event_new(loop_base(loop), -1, 0, on_connecting, a);
    a->deadline = timer_new_deadline(loop, on_deadline, a);
    if (a->application_name == NULL || a->io == NULL || a->deadline == NULL) {
        pg_attempt_free(a);
        return NULL;
    }
    return a;
}

void pg_attempt_free(struct pg_attempt *a)
{
    if (a == NULL)
        return;
    if (a->io != NULL)
        event_free(a->io);
    PQfinish(a->conn);
    timer_free(a->deadline);
    free(a->application_name);
    free(a);
}
