/* One attempt to connect to Postgres, as an object that reports its end. For pg_link.c alone. */
#ifndef RS_PG_ATTEMPT_H
#define RS_PG_ATTEMPT_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

struct event;
struct loop;
struct pg_attempt;
struct pg_home;

/* The end of an attempt. conn: the connection, which is the callee's from now on, non-blocking and
 * in pipeline mode; text says which of several hosts it is to (pg_home's server), or "". NULL:
 * there is none; text says why. It is one line, and ends with the call. */
typedef void pg_attempt_cb(void *arg, PGconn *conn, const char *text);

struct pg_attempt_options {
    const char *application_name; /* copied */
    struct pg_home *home;         /* where the links are: tried first; NULL: nowhere */
    int64_t timeout_us;           /* as pg_link_options' connect_timeout_us */
    bool read_only_ok;            /* a server that changes nothing will do */
    pg_attempt_cb *done;
    void *arg;
};

/* For one attempt after the other. NULL when memory ran out. */
struct pg_attempt *pg_attempt_new(struct loop *loop, const struct pg_attempt_options *options);
void pg_attempt_free(struct pg_attempt *a); /* NULL is legal; calls nothing back */

/* Begins an attempt; none may be under way. done fires once, from the loop or from inside this
 * call, unless it is cancelled. */
void pg_attempt_start(struct pg_attempt *a, const char *conninfo);

/* Gives up the attempt that is under way, if there is one: done does not fire. */
void pg_attempt_cancel(struct pg_attempt *a);

#endif
