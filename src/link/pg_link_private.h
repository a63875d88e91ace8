/* What the files of pg_link share: the link, its request, and the steps that one takes for another.
 * Nobody else includes this, nor libpq. */
#ifndef RS_PG_LINK_PRIVATE_H
#define RS_PG_LINK_PRIVATE_H

#include "base/backoff.h"
#include "link/pg_link.h"
#include "link/pg_prepare.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct pg_attempt;
struct timer;

/* state        conn    attempt    armed                   left by
 * NEW          none    none       nothing                 start: WAITING
 * WAITING      none    none       retry                   retry: CONNECTING
 * CONNECTING   none    under way  nothing of the link's   its end: UP, or WAITING
 * UP           usable  none       io; deadline with a     a loss, a deadline, another server:
 *                                 request; perhaps later  WAITING
 * STOPPED      none    none       later with a request    nothing: it is for good
 * From any state but NEW pg_link_stop leads to STOPPED. */
enum pg_link_state {
    PG_LINK_NEW,
    PG_LINK_WAITING,
    PG_LINK_CONNECTING,
    PG_LINK_UP,
    PG_LINK_STOPPED,
};

/* What an answer is expected for, in this order: the link's own two settings, the source's
 * settings, DEALLOCATE ALL, each query, before it what gives it a name, and whose session it is. */
enum pg_step_kind {
    PG_STEP_OWN,
    PG_STEP_SETTINGS,
    PG_STEP_EMPTY,
    PG_STEP_PREPARE,
    PG_STEP_QUERY,
    PG_STEP_SESSION,
};

struct pg_step {
    enum pg_step_kind kind;
    int place; /* among the names; -1: none */
};

/* One transaction under way. `results` has room for `nqueries`, the first `nresults` are filled;
 * of `steps` so many were sent as `nsteps`, and answered as `step`. */
struct pg_request {
    bool active;   /* its callback is still owed */
    bool failed;   /* the server reported an error: the fields below hold the first one */
    bool inside;   /* the error came out of a function of the shop's */
    int refused;   /* so many queries were answered before it; -1: not even the settings */
    bool broken;   /* the conversation cannot go on: the connection must go */
    bool finished; /* the Sync was answered: committed, or rolled back when `failed` */
    bool own;      /* the link sets the isolation level, and no JIT */
    const struct pg_source *source; /* whose settings come next */
    int nqueries;
    int nresults;
    PGresult **results;
    struct pg_step *steps;
    int nsteps;
    int step;
    struct pg_query
        *copy; /* of the queries, when they were sent with names: to send them without */
    char sqlstate[6];
    char message[PG_MESSAGE_SIZE];
    char table[128];
    int64_t deadline_us; /* a duration */
    int64_t sent_us;
    int64_t received_us;
    pg_answer_cb *cb;
    void *arg;
};

struct pg_link {
    struct loop *loop;
    struct pg_source source;
    unsigned moves; /* of the source, when it was asked last */
    pg_state_cb *on_state;
    void *arg;
    const char *queue; /* of the log, when it was made */

    enum pg_link_state state; /* written by enter() in pg_link.c alone */
    struct pg_attempt *attempt;
    PGconn *conn;        /* NULL except in UP */
    struct event *io;    /* on conn's socket; never pending without conn */
    struct timer *retry; /* armed in WAITING alone */
    struct timer *deadline;
    struct timer *later; /* armed to give an answer that could not be given in the caller's stack */
    struct backoff backoff;

    bool writing;     /* UP: io waits for room to write, too */
    bool calling;     /* inside one of the owner's callbacks */
    bool proved;      /* this connection has committed something */
    bool other_level; /* once the server's default of the isolation level was not ours */
    bool was_up;      /* there was a working connection before */
    int64_t up_since_us;
    uint64_t reconnects;
    struct pg_names names;
    struct pg_request request;
    char farewell[PG_MESSAGE_SIZE]; /* why the server said it would hang up, or "" */
    char last_error[PG_MESSAGE_SIZE];
};

/* pg_socket.c */

/* Waits for the socket that conn has now; cb gets arg. io belongs to the caller, and is not pending
 * any more when this fails. -1: the loop could not take it. */
int pg_socket_watch(struct event *io, struct loop *loop, PGconn *conn, short what,
                    void (*cb)(int fd, short what, void *arg), void *arg)
    __attribute__((warn_unused_result));

/* Nobody listens. */
void pg_socket_discard_notifications(PGconn *conn);

/* pg_request.c */

/* A request of so many statements, before which the link sets the isolation level and no JIT (own),
 * or not, and then the source's settings. Returns 0, or -1: out of memory. */
int pg_request_begin(struct pg_request *request, int nqueries, bool own,
                     const struct pg_source *source) __attribute__((warn_unused_result));

/* Hands the statements and the Sync to libpq, those that are sent often by name where names are
 * used. False: the connection does not take them. */
bool pg_request_queue(struct pg_request *request, PGconn *conn, const struct pg_query *queries,
                      struct pg_names *names);

/* What is to be said of a request now; what is not finished will never be known, for this reason.
 * The answer refers to both. */
struct pg_answer pg_request_answer(const struct pg_request *request, const char *reason);

/* Takes what the server has answered so far, without waiting. Sends the request again, without
 * names, when it was refused for them: then it is not finished, and there is something to flush. */
void pg_request_collect(struct pg_request *request, PGconn *conn, struct pg_names *names);

/* True when the server refused the request, to the end, and its reason says that it is of no use.
 */
bool pg_request_server_useless(const struct pg_request *request);

/* Frees the results. */
void pg_request_clear(struct pg_request *request);

/* pg_result.c */

/* The severity of an error or notice in English; NULL for a message of libpq's own. */
const char *pg_severity(const PGresult *res);

/* Puts a notice into the log, at DEBUG: it is the server's small talk. Returns message, into which
 * its text goes as one line. */
const char *pg_notice_log(const PGresult *res, char *message, size_t size);

/* Copies a message as one line: control characters become blanks, blanks at the end go. */
void pg_one_line(char *out, size_t size, const char *text);

/* pg_reason.c */

/* Copies what libpq says of a connection as one line, each of its sentences once. */
void pg_reason_line(char *out, size_t size, const char *text);

#endif
