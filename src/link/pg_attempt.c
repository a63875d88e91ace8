/* One attempt to connect to Postgres, turn by turn: one host after the other.
 *
 * PQconnectPoll says what it waits for, and the loop waits for that. What must hold:
 * - The socket may be another one after each PQconnectPoll (the next host, or the same without
 *   encryption), perhaps of the same number. So the event is taken from the loop before libpq is
 *   asked, and made anew for the socket that there is then.
 * - libpq's connect_timeout counts in its blocking calls alone: the deadline is a timer here. A
 * host that takes connections and says nothing (a primary that hangs) keeps no other from being
 * tried.
 * - libpq resolves host names with a blocking getaddrinfo, in PQconnectStartParams and in
 *   PQconnectPoll: the loop stands still for as long as the resolver's own timeouts allow
 *   (resolv.conf), at a connect only; an address or a local resolver avoids it. What others wait
 *   for is given so much more time (loop_blocked): else two links would give up each other's
 *   attempts for ever. The deadline is armed after the first call, so that a slow resolver does
 *   not use it up.
 * - What connects is not yet what can be used: a server that is too old, or cannot be written to,
 *   is refused here, before anybody sees the connection. That it cannot be written to is asked,
 * since what a pooler reports may be of another server, or of a standby that has been promoted
 * since: libpq would believe it for ever.
 * - PQfinish on every way out: the connection is given away or closed, never kept. */
#include "link/pg_attempt.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "link/pg_hosts.h"
#include "link/pg_link_private.h"
#include "link/pg_standing.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_VERSION_MIN 120000
#define HOST_LEAST_US SECOND_US /* what a host has, however many there are */

struct pg_attempt {
    struct loop *loop;
    char *application_name;
    struct pg_home *home;
    int64_t timeout_us;
    bool read_only_ok;
    pg_attempt_cb *done;
    void *arg;
    const char *queue;             /* of the log, when it was made */
    char *conninfo;                /* of the attempt that is under way */
    struct pg_hosts hosts;         /* ... and its hosts */
    size_t first, tried;           /* of them: where it began, and how many are of no use */
    char reasons[PG_MESSAGE_SIZE]; /* ... why not, as libpq says it */
    char server[PG_SERVER_SIZE];   /* the one that is tried now; "": there is but one */
    bool asking;                   /* connected, and asked whether it can be written to */
    PGconn *conn;                  /* NULL: no attempt is under way */
    struct event *io;              /* on conn's socket; never pending without conn */
    struct timer *deadline; /* armed while an attempt is under way, once libpq has begun it */
};

static void on_connecting(int fd, short what, void *arg);
static void try_hosts(struct pg_attempt *a);

/* Takes the connection from the attempt, which is over. */
static PGconn *take(struct pg_attempt *a)
{
    PGconn *conn = a->conn;
    timer_clear(a->deadline);
    (void)event_del(a->io); /* before libpq closes the descriptor */
    a->conn = NULL;
    a->asking = false;
    return conn;
}

/* The end. The callback may begin the next attempt, for which all is as new. */
static void end(struct pg_attempt *a, PGconn *conn, const char *text)
{
    free(a->conninfo);
    a->conninfo = NULL;
    pg_hosts_clear(&a->hosts);
    a->done(a->arg, conn, text);
}

/* The attempt has failed, whatever hosts are left. */
static void fail(struct pg_attempt *a, const char *reason)
{
    PQfinish(take(a));
    end(a, NULL, reason);
}

/* This host is of no use. */
static void leave_host(struct pg_attempt *a, const char *reason)
{
    size_t said = strlen(a->reasons);
    (void)snprintf(a->reasons + said, sizeof(a->reasons) - said, "%s%s", said > 0 ? "\n" : "",
                   reason);
    PQfinish(take(a));
    a->tried++;
}

/* For what libpq says of it. */
static void leave_failed_host(struct pg_attempt *a)
{
    const char *reason = PQerrorMessage(a->conn);
    leave_host(a, reason[0] != '\0' ? reason : "the connection failed");
}

/* Which setting says that it cannot be written to, as reported at the connect; NULL: none does, as
 * before PostgreSQL 14. */
static const char *reported_read_only(const struct pg_attempt *a)
{
    static const char *const settings[] = {"in_hot_standby", "default_transaction_read_only"};
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        const char *value = PQparameterStatus(a->conn, settings[i]);
        if (value != NULL && strcmp(value, "on") == 0)
            return settings[i];
    }
    return NULL;
}

/* Of one host an older server says 25006 to the first change. */
static bool has_to_be_asked(const struct pg_attempt *a)
{
    return (a->hosts.n > 0 && a->hosts.writable) ||
           (!a->read_only_ok && reported_read_only(a) != NULL);
}

static void succeed(struct pg_attempt *a)
{
    if (PQenterPipelineMode(a->conn) != 1)
        fail(a, "the connection could not be set up");
    else
        end(a, take(a), a->server);
}

/* What it is does not do. Of several hosts another one may. */
static void refuse(struct pg_attempt *a, const char *why)
{
    char reason[PG_SERVER_SIZE + 128];
    (void)snprintf(reason, sizeof(reason), "%s%sthe server is %s", a->server,
                   a->server[0] != '\0' ? ": " : "", why);
    if (a->hosts.n == 0 || !a->hosts.writable) {
        fail(a, reason);
        return;
    }
    leave_host(a, reason);
    try_hosts(a);
}

static void leave_and_go_on(struct pg_attempt *a)
{
    leave_failed_host(a);
    try_hosts(a);
}

static void wait_for(struct pg_attempt *a, short what)
{
    if (pg_socket_watch(a->io, a->loop, a->conn, what, on_connecting, a) != 0)
        fail(a, "the event loop refused the socket");
}

/* What it has answered to the question. */
static void on_answer(struct pg_attempt *a)
{
    struct pg_standing standing;
    char why[96] = "";
    const char *setting = reported_read_only(a);
    if (PQconsumeInput(a->conn) != 1) {
        leave_and_go_on(a);
        return;
    }
    if (PQisBusy(a->conn)) {
        wait_for(a, EV_READ);
        return;
    }
    pg_standing_take(&standing, a->conn);
    if (standing.read_only)
        (void)snprintf(why, sizeof(why), "read-only (%s is on)",
                       setting != NULL ? setting : "transaction_read_only");
    else if (a->hosts.n > 0 && !pg_standing_admits(&standing, a->home))
        (void)snprintf(why, sizeof(why), "a former primary (timeline %u; %u has been seen)",
                       standing.timeline, a->home->timeline);
    if (why[0] != '\0')
        refuse(a, why);
    else
        succeed(a);
}

static void on_connected(struct pg_attempt *a)
{
    char buffer[128];
    if (PQserverVersion(a->conn) < SERVER_VERSION_MIN) {
        const char *version = PQparameterStatus(a->conn, "server_version");
        (void)snprintf(buffer, sizeof(buffer),
                       "the server is PostgreSQL %.20s: 12 or later is needed",
                       version != NULL ? version : "(unknown)");
        fail(a, buffer);
        return;
    }
    a->asking = has_to_be_asked(a);
    if (PQsetnonblocking(a->conn, 1) != 0)
        fail(a, "the connection could not be set up");
    else if (!a->asking)
        succeed(a);
    else if (!pg_standing_ask(a->conn))
        leave_and_go_on(a);
    else
        wait_for(a, EV_READ);
}

static void proceed(struct pg_attempt *a, PostgresPollingStatusType status)
{
    switch (status) {
    case PGRES_POLLING_OK:
        on_connected(a);
        return;
    case PGRES_POLLING_READING:
        wait_for(a, EV_READ);
        return;
    case PGRES_POLLING_WRITING:
        wait_for(a, EV_WRITE);
        return;
    default:
        leave_and_go_on(a);
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
    if (a->asking) {
        on_answer(a);
    } else {
        int64_t asked_us = clock_mono_us();
        PostgresPollingStatusType status = PQconnectPoll(a->conn);
        loop_blocked(a->loop, clock_mono_us() - asked_us);
        proceed(a, status);
    }
    (void)log_set_queue(queue);
}

static int64_t host_time_us(const struct pg_attempt *a)
{
    int64_t part_us = a->hosts.n > 0 ? a->timeout_us / (int64_t)a->hosts.n : a->timeout_us;
    return part_us > HOST_LEAST_US || a->hosts.n == 0 ? part_us : HOST_LEAST_US;
}

static void on_deadline(void *arg)
{
    struct pg_attempt *a = arg;
    const char *queue = log_set_queue(a->queue);
    char reason[PG_SERVER_SIZE + 64];
    (void)snprintf(reason, sizeof(reason), "%s%sno connection within %lld ms", a->server,
                   a->server[0] != '\0' ? ": " : "", (long long)(host_time_us(a) / MS_US));
    pg_home_silent(a->home, a->server);
    leave_host(a, reason);
    try_hosts(a);
    (void)log_set_queue(queue);
}

/* Nothing in it announces the end of a connection that works: that comes later, to its owner. */
static void on_notice(void *arg, const PGresult *res)
{
    char message[PG_MESSAGE_SIZE];
    (void)arg;
    (void)pg_notice_log(res, message, sizeof(message));
}

/* The connection string stands after the defaults that it may override and before those it may
 * not: ids are sent as UTF-8 whatever the environment says. A peer that vanished without a word is
 * given up within seconds, also while its SYN is unanswered: a host's name may have two addresses.
 */
static PGconn *begin(struct pg_attempt *a)
{
    static const struct pg_host as_given;
    const struct pg_host *host = &as_given;
    if (a->hosts.n > 0) {
        host = &a->hosts.list[(a->first + a->tried) % a->hosts.n];
        pg_host_name(host, a->server, sizeof(a->server));
    }
    const char *const keywords[] = {"fallback_application_name",
                                    "keepalives",
                                    "keepalives_idle",
                                    "keepalives_interval",
                                    "keepalives_count",
                                    "tcp_user_timeout",
                                    "target_session_attrs",
                                    "dbname",
                                    "client_encoding",
                                    "host",
                                    "hostaddr",
                                    "port",
                                    "target_session_attrs",
                                    NULL};
    const char *const values[] = {a->application_name,
                                  "1",
                                  "5",
                                  "2",
                                  "3",
                                  "3000",
                                  a->hosts.n == 0 && a->hosts.implied ? "read-write" : NULL,
                                  a->conninfo,
                                  "UTF8",
                                  host->host,
                                  host->address,
                                  host->port,
                                  a->hosts.n > 0 && a->hosts.writable ? "any" : NULL,
                                  NULL};
    int64_t asked_us = clock_mono_us();
    PGconn *conn = PQconnectStartParams(keywords, values, 1);
    loop_blocked(a->loop, clock_mono_us() - asked_us);
    return conn;
}

/* Begins with the next host that can be begun with; with none left the attempt has failed. */
static void try_hosts(struct pg_attempt *a)
{
    size_t n = a->hosts.n > 0 ? a->hosts.n : 1;
    while (a->tried < n) {
        a->conn = begin(a);
        if (a->conn == NULL) {
            leave_host(a, "out of memory");
            continue;
        }
        timer_after_us(a->deadline, host_time_us(a));
        (void)PQsetNoticeReceiver(a->conn, on_notice, NULL);
        if (PQstatus(a->conn) != CONNECTION_BAD) {
            wait_for(a, EV_WRITE); /* as if PQconnectPoll had said so (the manual) */
            return;
        }
        leave_failed_host(a);
    }
    end(a, NULL, a->reasons);
}

void pg_attempt_start(struct pg_attempt *a, const char *conninfo)
{
    assert(a->conn == NULL && a->conninfo == NULL);
    a->reasons[0] = a->server[0] = '\0';
    a->tried = 0;
    a->conninfo = strdup(conninfo);
    if (a->conninfo == NULL) {
        fail(a, "out of memory");
        return;
    }
    pg_hosts_read(&a->hosts, conninfo);
    a->first = pg_hosts_first(&a->hosts, a->home);
    try_hosts(a);
}

void pg_attempt_cancel(struct pg_attempt *a)
{
    PQfinish(take(a));
    free(a->conninfo);
    a->conninfo = NULL;
    pg_hosts_clear(&a->hosts);
}

struct pg_attempt *pg_attempt_new(struct loop *loop, const struct pg_attempt_options *options)
{
    struct pg_attempt *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->loop = loop;
    a->queue = log_queue();
    a->home = options->home;
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
    free(a->conninfo);
    pg_hosts_clear(&a->hosts);
    timer_free(a->deadline);
    free(a->application_name);
    free(a);
}
