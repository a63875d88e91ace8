/* One attempt to connect, turn by turn. libpq resolves host names with a blocking getaddrinfo in
 * PQconnectStartParams and PQconnectPoll: the loop stands still for as long as the resolver's own
 * timeouts allow (resolv.conf), at a connect only; an address or a local resolver avoids it. What
 * the others wait for is given so much more time: else two links would give up each other's
 * attempts for ever. */
#include "base/clock.h"
#include "base/log.h"
#include "link/loop.h"
#include "link/pg_conninfo_private.h"
#include "link/pg_link_private.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_VERSION_MIN 120000

static void on_connecting(int fd, short what, void *arg);

static void fail_with_library_error(struct pg_link *link)
{
    char reason[PG_MESSAGE_SIZE];

    pg_one_line(reason, sizeof(reason), PQerrorMessage(link->conn));
    pg_link_drop(link, reason[0] != '\0' ? reason : "the connection failed");
}

/* At DEBUG only: notices are the server's small talk. What announces the end of the connection
 * is kept, since all that libpq says afterwards is "closed unexpectedly". */
static void on_notice(void *arg, const PGresult *res)
{
    struct pg_link *link = arg;
    const char *severity = pg_severity(res);
    const char *sqlstate = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    char message[PG_MESSAGE_SIZE];

    pg_one_line(message, sizeof(message), primary != NULL ? primary : PQresultErrorMessage(res));
    log_event(LOG_DEBUG, "Postgres sent a notice", LOG_STR, "severity", severity, LOG_STR,
              "sqlstate", sqlstate, LOG_STR, "notice", message, LOG_END);
    if ((severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0)) ||
        (sqlstate != NULL && strncmp(sqlstate, "57P", 3) == 0))
        memcpy(link->farewell, message, sizeof(link->farewell));
}

/* What connects is not yet what can be used. NULL, or why not. */
static const char *why_unusable(const struct pg_link *link, char *buffer, size_t size)
{
    static const char *const read_only[] = {"in_hot_standby", "default_transaction_read_only"};

    if (PQserverVersion(link->conn) < SERVER_VERSION_MIN) {
        const char *version = PQparameterStatus(link->conn, "server_version");

        (void)snprintf(buffer, size, "the server is PostgreSQL %.20s: 12 or later is needed",
                       version != NULL ? version : "(unknown)");
        return buffer;
    }
    /* Reported by PostgreSQL 14 and later; an older one says 25006 to the first change. */
    for (size_t i = 0; i < sizeof(read_only) / sizeof(read_only[0]) && !link->read_only_ok; i++) {
        const char *value = PQparameterStatus(link->conn, read_only[i]);

        if (value != NULL && strcmp(value, "on") == 0) {
            (void)snprintf(buffer, size, "the server is read-only (%s is on)", read_only[i]);
            return buffer;
        }
    }
    return NULL;
}

static void finish_attempt(struct pg_link *link)
{
    char buffer[128];
    const char *reason = why_unusable(link, buffer, sizeof(buffer));

    if (reason != NULL)
        pg_link_drop(link, reason);
    else if (PQsetnonblocking(link->conn, 1) != 0 || PQenterPipelineMode(link->conn) != 1)
        fail_with_library_error(link);
    else
        pg_link_opened(link);
}

static void proceed(struct pg_link *link, PostgresPollingStatusType status)
{
    switch (status) {
    case PGRES_POLLING_OK:
        finish_attempt(link);
        return;
    case PGRES_POLLING_READING:
    case PGRES_POLLING_WRITING:
        if (pg_link_watch(link, status == PGRES_POLLING_READING ? EV_READ : EV_WRITE,
                          on_connecting) != 0)
            pg_link_drop(link, "the event loop refused the socket");
        return;
    default:
        fail_with_library_error(link);
        return;
    }
}

static void on_connecting(int fd, short what, void *arg)
{
    struct pg_link *link = arg;

    (void)fd;
    (void)what;
    assert(link->state == PG_LINK_CONNECTING);
    /* PQconnectPoll may close this socket and open another, perhaps of the same number. */
    (void)event_del(link->io);
    int64_t asked_us = clock_mono_us();
    PostgresPollingStatusType status = PQconnectPoll(link->conn);

    loop_blocked(link->loop, clock_mono_us() - asked_us);
    proceed(link, status);
}

unsigned pg_source_moves(const struct pg_source *source)
{
    return source->moves != NULL ? *source->moves : 0;
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

void pg_connect_begin(struct pg_link *link)
{
    const char *conninfo = link->source.conninfo(link->source.arg);

    link->moves = pg_source_moves(&link->source);
    /* The connection string stands after the defaults that it may override and before those it
     * may not: ids are sent as UTF-8 whatever the environment says. A peer that vanished without
     * a word is given up within seconds, also while its SYN is unanswered, so that a second host
     * gets its turn within the attempt. */
    const char *const keywords[] = {"fallback_application_name", "keepalives",
                                    "keepalives_idle",           "keepalives_interval",
                                    "keepalives_count",          "tcp_user_timeout",
                                    "target_session_attrs",      "dbname",
                                    "client_encoding",           NULL};
    const char *const values[] = {link->application_name,
                                  "1",
                                  "5",
                                  "2",
                                  "3",
                                  "3000",
                                  wants_primary(conninfo) ? "read-write" : NULL,
                                  conninfo,
                                  "UTF8",
                                  NULL};

    assert(link->conn == NULL);
    link->farewell[0] = '\0';
    int64_t asked_us = clock_mono_us();

    link->conn = PQconnectStartParams(keywords, values, 1);
    loop_blocked(link->loop, clock_mono_us() - asked_us);
    if (link->conn == NULL) {
        pg_link_drop(link, "out of memory");
        return;
    }
    (void)PQsetNoticeReceiver(link->conn, on_notice, link);
    if (PQstatus(link->conn) == CONNECTION_BAD)
        fail_with_library_error(link);
    else
        proceed(link, PGRES_POLLING_WRITING); /* as if PQconnectPoll had said so (the manual) */
}
