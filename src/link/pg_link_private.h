/* What the files of pg_link share: the link, its request, and the steps that one takes for another.
 * Nobody else includes this, nor libpq. */
#ifndef RS_PG_LINK_PRIVATE_H
#define RS_PG_LINK_PRIVATE_H

#include "base/backoff.h"
#include "link/pg_link.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;
struct timer;

enum pg_link_state {
    PG_LINK_NEW,        /* before pg_link_start */
    PG_LINK_WAITING,    /* no connection; the retry timer is armed */
    PG_LINK_CONNECTING, /* conn under way; the deadline is the attempt's */
    PG_LINK_UP,         /* conn usable; the deadline is the request's, armed only with one */
    PG_LINK_STOPPED,    /* for good */
};

/* One transaction under way. `results` has room for `nqueries`, the first `nresults` are filled;
 * the first `own` are the link's, of the isolation level. */
struct pg_request {
    bool active;   /* its callback is still owed */
    bool failed;   /* the server reported an error: the fields below hold the first one */
    bool inside;   /* the error came out of a function of the shop's */
    bool broken;   /* the conversation cannot go on: the connection must go */
    bool finished; /* the Sync was answered: committed, or rolled back when `failed` */
    int own;
    int nqueries;
    int nresults;
    PGresult **results;
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
    char *application_name;
    int64_t connect_timeout_us;
    bool read_only_ok;
    pg_state_cb *on_state;
    void *arg;

    enum pg_link_state state; /* written by enter() in pg_link.c alone */
    PGconn *conn;             /* NULL except in CONNECTING and UP */
    struct event *io;         /* on conn's socket; never pending without conn */
    struct timer *retry;      /* armed in WAITING alone */
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
    struct pg_request request;
    char farewell[PG_MESSAGE_SIZE]; /* why the server said it would hang up, or "" */
    char last_error[PG_MESSAGE_SIZE];
};

/* pg_link.c */

/* Waits for the socket that conn has now; callbacks get the link. -1: the loop could not take it.
 */
int pg_link_watch(struct pg_link *link, short what, void (*cb)(int fd, short what, void *arg))
    __attribute__((warn_unused_result));

/* After the attempt succeeded: opens the link. */
void pg_link_opened(struct pg_link *link);

/* Closes the connection or gives up the attempt, answers the request that was under way, reports
 * the reason and connects again later. */
void pg_link_drop(struct pg_link *link, const char *reason);

/* pg_connect.c */

unsigned pg_source_moves(const struct pg_source *source);

/* Begins an attempt, in state CONNECTING. Ends in pg_link_opened or pg_link_drop. */
void pg_connect_begin(struct pg_link *link);

/* pg_result.c */

/* Takes what the server has answered so far, without waiting. */
void pg_request_collect(struct pg_request *request, PGconn *conn);

/* True when the server refused the request, to the end, and its reason says that it is of no use.
 */
bool pg_request_server_useless(const struct pg_request *request);

/* Frees the results. */
void pg_request_clear(struct pg_request *request);

/* The severity of an error or notice in English; NULL for a message of libpq's own. */
const char *pg_severity(const PGresult *res);

/* Copies a message as one line: control characters become blanks, blanks at the end go. */
void pg_one_line(char *out, size_t size, const char *text);

#endif
