/* One connection to Postgres that keeps itself alive. The only module that includes libpq.
 *
 * One request at a time: a few statements with parameters, sent as one pipeline with one Sync,
 * hence one implicit transaction (PostgreSQL manual, "Pipeline Mode"): it commits as a whole when
 * the Sync's answer arrives, or not at all. READ COMMITTED, whatever the default is. It works
 * through a transaction pooler: no session state but prepared statements, where they are safe
 * (enum pg_prepare), and without which every request goes as well. */
#ifndef RS_PG_LINK_H
#define RS_PG_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct pg_link;
struct pg_result;

/* At which server the links of one source are: at the same, since half here and half there they
 * would see two truths. Of several hosts whichever link first finds another one says so here.
 * Zeroed at the start. */
#define PG_SERVER_SIZE 320
#define PG_SYSTEM_SIZE 24
struct pg_home {
    unsigned moves; /* rises when it is another server: each link leaves the former one when it is
                       used next */
    char server[PG_SERVER_SIZE]; /* of several hosts: which, "host=a port=5432"; "": not known yet,
                                    or there is one */
    char system[PG_SYSTEM_SIZE]; /* ... its database system, "" when it was not told; */
    unsigned timeline; /* and the last timeline of that: a server behind it is a former primary */
    bool silent;       /* ... it did not answer in time, so that the others are tried before it */
};

/* Where Postgres is: asked at each attempt to connect, since it may have changed meanwhile. */
struct pg_source {
    /* URI or key=value, "" for libpq's defaults; good until it is asked again. */
    const char *(*conninfo)(void *arg);
    void *arg;            /* must outlive the link */
    struct pg_home *home; /* NULL: the link is by itself. Must outlive the link */
    /* What is set locally, as the first in each transaction: names and values in turn, so many
     * pairs, PG_SOURCE_SETTINGS_MAX at most. They must outlive the link. */
    const char *const *settings;
    int nsettings;
};
#define PG_SOURCE_SETTINGS_MAX 16
#define PG_MESSAGE_SIZE 1024                  /* of a message that this link gives, with its end */
#define PG_REASON_SIZE (PG_MESSAGE_SIZE + 64) /* ... and a few words before it */

/* Called when the connection is ready (up, reason "") and when it is lost or an attempt failed
 * (!up, with the reason: one line, no secrets; the link itself does not log it). Always from the
 * loop, never from inside a function of this header. A pending request is answered first. */
typedef void pg_state_cb(void *arg, bool up, const char *reason);

/* Whether queries that are sent often are named statements, prepared when they are first sent. A
 * request that the server refuses for its names is sent again without, before anybody is told. */
enum pg_prepare {
    PG_PREPARE_OFF,
    PG_PREPARE_AUTO, /* where no pooler is in between: asked along with the first such request */
    PG_PREPARE_ON,   /* whatever is in between */
};

/* Whose the session in the server is: asked along with the first request that has such queries. */
enum pg_session {
    PG_SESSION_UNASKED,
    PG_SESSION_OURS,   /* the server's process is the one that the connection began with */
    PG_SESSION_POOLED, /* it is another: a pooler is in between */
};

struct pg_link_options {
    struct pg_source source;
    const char *application_name; /* copied */
    int64_t connect_timeout_us;   /* for an attempt, of which each of several hosts has its part, 1
                                     s at least; 0: 5 s */
    int64_t backoff_min_us;       /* between two attempts; 0: 50 ms */
    int64_t backoff_max_us;       /* 0: 1 s */
    /* A standby or a read-only database will do, where no other is named: nothing is to be changed.
     */
    bool read_only_ok;
    enum pg_prepare prepare;
    pg_state_cb *on_state; /* NULL: nobody wants to know */
    void *arg;
};

enum pg_status {
    PG_DONE,    /* every statement answered and the transaction committed */
    PG_REFUSED, /* the server reported an error and rolled back: see sqlstate */
    PG_UNKNOWN, /* sent, but no answer to the end: it may or may not have committed */
};

struct pg_answer {
    enum pg_status status;
    int nresults; /* PG_DONE: as many as statements */
    const struct pg_result *const *results;
    char sqlstate[6]; /* PG_REFUSED; "" otherwise */
    bool inside;      /* PG_REFUSED: met in a function, a trigger's for one */
    int refused;      /* PG_REFUSED: the place of the query that was, from 0; nqueries: the COMMIT;
                         negative: the source's settings */
    const char *message;          /* PG_REFUSED, PG_UNKNOWN: one line; primary message only */
    const char *table;            /* PG_REFUSED: table of a constraint, or "" */
    int64_t sent_us, received_us; /* monotonic: first byte sent, last answer read */
};

/* A query that sets something for this transaction alone, sent in one go with what it is for, so
 * that a transaction pooler needs to remember nothing: PG_SETTINGS_n of n elements, each a PG_SET
 * or another expression. A value is an expression too: "'5s'", "$1". */
#define PG_SET(name, value) "pg_catalog.set_config('" name "', " value ", true)"
#define PG_SETTINGS_1(a) "SELECT " a
#define PG_SETTINGS_2(a, b) "SELECT " a ", " b
#define PG_SETTINGS_3(a, b, c) PG_SETTINGS_2(a, b) ", " c
#define PG_SETTINGS_4(a, b, c, d) PG_SETTINGS_3(a, b, c) ", " d
#define PG_SETTINGS_5(a, b, c, d, e) PG_SETTINGS_4(a, b, c, d) ", " e

struct pg_query {
    const char *sql;
    const char *const *params; /* text format; NULL entries are SQL NULL */
    int nparams;
    /* Of the first: it sets by itself, with PG_LINK_OWN, what the link sets else: READ COMMITTED,
     * no JIT, and UTC. By set_config, which costs next to nothing, and which the server refuses,
     * with PG_LINK_OTHER_LEVEL, where the default is another level. After such an answer the link
     * sets them before, as for all others, and the same may be sent again. */
    bool isolates;
    bool parse_only; /* it is not executed: the server says whether it is a statement, one alone, of
                        names and types that there are. It has a result without rows */
    /* Not 0: its text is sent often, so it may be a named statement. Another number when it may
     * mean something else than before (another table of the same name): it is prepared anew then.
     * The same for all queries of a transaction that have one. As long as it is the same, no other
     * text stands where this one does. */
    uint64_t named;
};
#define PG_LINK_OTHER_LEVEL "25001"
#define PG_LINK_EVER PG_SET("jit", "'off'") ", " PG_SET("TimeZone", "'UTC'")
#define PG_LINK_OWN PG_SET("transaction_isolation", "'read committed'") ", " PG_LINK_EVER

/* What became of a request. The answer, its results and its texts end with the call. */
typedef void pg_answer_cb(void *arg, const struct pg_answer *answer);

/* NULL when memory ran out. Does nothing before pg_link_start. */
struct pg_link *pg_link_new(struct loop *loop, const struct pg_link_options *options);

/* A pending request gets PG_UNKNOWN first, from inside this call; on_state is not called. Not
 * allowed inside the link's own callbacks (stop it there, free it later). NULL is legal. */
void pg_link_free(struct pg_link *link);

/* Once. Connects on the next turn of the loop. */
void pg_link_start(struct pg_link *link);

/* There is a connection that can be used, busy or not. */
bool pg_link_up(const struct pg_link *link);

/* A request is under way: its callback is still owed. */
bool pg_link_busy(const struct pg_link *link);

/* How often there was a connection again after the first. */
uint64_t pg_link_reconnects(const struct pg_link *link);

/* Why the last connection or attempt ended, one line without secrets; "" when none has. Good until
 * the next one ends. */
const char *pg_link_last_error(const struct pg_link *link);

/* The server's process; 0 while down. Behind a pooler: a number that says nothing. */
int pg_link_backend_pid(const struct pg_link *link);

/* Of the present connection. *commit: the server's own synchronous_commit for it, "on", "off",
 * "local" ...; "" while the session is PG_SESSION_UNASKED; good until the connection ends. */
enum pg_session pg_link_session(const struct pg_link *link, const char **commit);

/* As PQserverVersion has it, 150018; 0 while down. */
int pg_link_server_version(const struct pg_link *link);

/* Sends one transaction; parameters are copied by the library. The callback fires exactly once,
 * never from inside this call, with an answer that ends with the call; it may send the next
 * request. Past deadline_us (a duration from now) the connection is closed and the answer is
 * PG_UNKNOWN. After SQLSTATE 57P01, 57P02, 57P03, 25006 or 08xxx (shutting down, read-only: the
 * server is of no use) the link is down already when the answer is given, and connects anew. An
 * error without the end of the transaction (FATAL) is PG_UNKNOWN, with the server's message.
 * A transaction with queries that are sent often may be sent twice, the second time after the
 * server has said that it rolled back the first: its queries must not COMMIT by themselves.
 * Returns 0, or -1 when it is down or busy, has to leave its server, or memory ran out: nothing was
 * sent and the callback will not fire. */
int pg_link_send(struct pg_link *link, const struct pg_query *queries, int nqueries,
                 int64_t deadline_us, pg_answer_cb *cb, void *arg)
    __attribute__((warn_unused_result));

/* Ends the session, if there is one, and connects anew: what it keeps, such as the plans of a
 * trigger's statements, is gone then. on_state is called with the reason. Not while a request is
 * under way, nor inside a callback of the link. */
void pg_link_renew(struct pg_link *link, const char *reason);

/* Leaves the server on a later turn if the source names another by now, as the next request would
 * have it do: for connections that may not be used for long. */
void pg_link_follow(struct pg_link *link);

/* Closes for good, no reconnect; on_state is not called. A pending request gets PG_UNKNOWN on a
 * later turn, or from pg_link_free. */
void pg_link_stop(struct pg_link *link);

/* Results, good until the callback that was given them returns. Rows and columns count from 0;
 * indexes out of range are programming errors (assert). */
int pg_result_rows(const struct pg_result *r);

/* Likewise. */
int pg_result_columns(const struct pg_result *r);

/* Whether the value there is NULL. */
bool pg_result_null(const struct pg_result *r, int row, int col);

/* The text form, terminated; "" for NULL. */
const char *pg_result_text(const struct pg_result *r, int row, int col);

/* The bytes of that, without the terminator. */
size_t pg_result_len(const struct pg_result *r, int row, int col);

/* How many rows a statement has inserted, updated, deleted or found. */
int64_t pg_result_affected(const struct pg_result *r);

/* 0 for NULL, or for what is no 64-bit integer. */
int64_t pg_result_int(const struct pg_result *r, int row, int col);

/* Quoting as libpq does it, for the one place that makes statements from names. malloc'd; NULL
 * when the link is down or memory ran out. */
char *pg_link_quote_ident(struct pg_link *link, const char *name);

/* The same for a text. */
char *pg_link_quote_literal(struct pg_link *link, const char *text);

/* Checks a connection string, and what the environment and a service add to it, without connecting
 * or asking for a name: 0, or -1 with libpq's reason in `error`, freed of secrets. What is refused
 * is what libpq would refuse at every attempt. *variable (static storage) is the variable of
 * libpq's own that is at fault (PGSSLMODE); NULL: the string is. A URI with parameters that libpq
 * does not know (an ORM's ?schema=, ?pgbouncer=) is an error that names the parameter. */
int pg_conninfo_check(const char *conninfo, const char **variable, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* "host=... port=... dbname=... user=..." of a connection string, without secrets; malloc'd, NULL
 * when memory ran out. */
char *pg_conninfo_describe(const char *conninfo);

/* The version of the library in use, "15.18". */
const char *pg_link_library_version(void);

#endif
