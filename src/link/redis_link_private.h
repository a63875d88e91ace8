/* What the parts of the Redis link share. Only these files include hiredis. Each uses those below
 * it alone, and calls upwards by callbacks:
 *
 *   redis_link.c     when there is a connection, and whether commands may pass; beside it the
 *                    sources, which say to where (redis_source.c)
 *   redis_attempt.c  from the host's name to a server that is of use
 *   redis_conn.c     the socket, and the end of it; beside it redis_resolve.c, the names
 *   redis_request.c  requests and their answers; beside it redis_tls.c
 *   redis_reply.c    replies */
#ifndef RS_REDIS_LINK_PRIVATE_H
#define RS_REDIS_LINK_PRIVATE_H

#include "base/backoff.h"
#include "base/callback.h"
#include "base/parse.h"
#include "link/redis_link.h"

#include <hiredis/hiredis.h>
#include <sys/queue.h>

#define REDIS_REASON_SIZE 256 /* of a reason that is given, with its end */

struct event;
struct redis_attempt;
struct redis_resolver;
struct ssl_st;
struct timer;

/* One command whose answer is awaited. */
struct redis_request {
    STAILQ_ENTRY(redis_request) entry;
    redis_link_cb *cb;
    void *arg;
    const char *queue; /* of the log, when it was sent */
    int64_t sent_us;
    const struct lua_script *script; /* sent by its SHA1 and may have to be sent as text; or NULL */
    char *command; /* with script: the formatted EVALSHA, owned by hiredis's heap */
    size_t command_len;
    int words; /* of the command, as formatted */
};

struct redis_requests_events {
    /* No further answer can be told from another: the connection has to go. */
    void (*on_broken)(void *arg, const char *reason);
    event_cb *on_oldest; /* the request that waits longest is another one now */
    void *arg;
};

/* When what has been asked for is written. */
enum redis_output {
    REDIS_OUTPUT_NONE, /* there is nothing to write */
    REDIS_OUTPUT_SOON, /* at the end of this turn of the loop */
    REDIS_OUTPUT_HELD, /* with the next request, or a little later */
    REDIS_OUTPUT_FULL, /* when the socket takes more */
};

struct redis_requests {
    STAILQ_HEAD(, redis_request) pending;
    redisContext *context;  /* into which commands go; NULL: there is no connection */
    struct event *writable; /* made active when there is something to write */
    enum redis_output output;
    struct redis_requests_events events;
    bool calling; /* inside a callback of a request */
};

/* What happens to a connection, for whoever has it. All but on_lost may be NULL where they cannot
 * happen. Each may call redis_conn_lose. */
struct redis_conn_events {
    event_cb *on_connected; /* the socket, and TLS as far as it needs no answer */
    /* Nothing listens at the address. The connection is to be opened to another one, or lost. */
    void (*on_refused)(void *arg, const char *reason);
    /* After all its requests have failed. It may be opened again. */
    void (*on_lost)(void *arg, const char *reason);
    /* After the callback of each request that was answered. */
    void (*on_answer)(void *arg, const struct redis_reply *reply);
    event_cb *on_oldest; /* of the requests, see there */
    /* Asked of each answer before a request gets it: true when it is no request's (a message to a
     * subscriber), and has been taken. */
    bool (*on_push)(void *arg, const struct redis_reply *reply);
    void *arg;
};

struct redis_conn {
    struct loop *loop;
    const char *ca_file; /* borrowed; NULL: the system's */
    struct redis_conn_events events;
    const struct redis_address *address; /* of the one that opened it */
    const char *tls_name;                /* ... that its certificate must have */
    struct redis_requests requests;
    struct ssl_st *ssl; /* owned by the context; NULL without TLS */
    struct event *readable;
    bool connected; /* the socket is */
    bool lost;      /* no more requests; their failure and on_lost come on a later turn */
    struct timer *teardown;
    struct timer *held;             /* until when the output is */
    char reason[REDIS_REASON_SIZE]; /* of the last loss; "": there was none */
};

struct redis_link {
    struct redis_link_options options;
    enum redis_state state; /* written by redis_link.c alone, see there */
    bool stopped;
    bool calling; /* inside on_state */
    bool was_up;
    bool asking;   /* the source has not answered */
    bool targeted; /* it has, and has not been told of the end */
    bool at_once;  /* the next attempt does not wait */
    struct redis_conn *conn;
    struct redis_attempt *attempt;
    struct timer *deadline; /* of the source's answer, or of the oldest request */
    struct timer *retry;
    struct backoff backoff;
    uint64_t reconnects;
};

/* redis_attempt.c */

struct redis_attempt_options {
    int64_t timeout_us; /* from the host's name to the last answer */
    /* The end. reason NULL: conn is usable, and the callee's from now on (redis_conn_own); else
     * there is no connection. Never from inside redis_attempt_start. */
    void (*done)(void *arg, const char *reason);
    void *arg;
};

/* For one attempt after the other, with a connection that outlives it. NULL when memory ran out. */
struct redis_attempt *redis_attempt_new(struct loop *loop, struct redis_conn *conn,
                                        const struct redis_attempt_options *options);

/* NULL is legal; calls nothing back. */
void redis_attempt_free(struct redis_attempt *a);

/* Begins an attempt; the target is copied. The connection is the attempt's until done fires, which
 * it does once. To give it up: redis_conn_lose. */
void redis_attempt_start(struct redis_attempt *a, const struct redis_target *target);

/* What INFO said at the last one that succeeded. */
const struct redis_server_info *redis_attempt_info(const struct redis_attempt *a);

/* Reads INFO's text. Returns why a server that says so is of no use, or NULL. */
const char *redis_info_read(struct redis_server_info *info, const char *text);

/* redis_conn.c */

/* Not connected. ca_file must outlive it. NULL when memory ran out. */
struct redis_conn *redis_conn_new(struct loop *loop, const char *ca_file);

/* Requests fail with NULL, from inside this call; on_lost does not fire. NULL is legal. */
void redis_conn_free(struct redis_conn *c);

/* From now on the events are these. */
void redis_conn_own(struct redis_conn *c, const struct redis_conn_events *events);

/* Begins to connect to the address's socket path, else to `ip`; address and tls_name must outlive
 * the connection. Ends in on_connected, on_refused (perhaps from inside this call) or on_lost. */
void redis_conn_open(struct redis_conn *c, const struct redis_address *address,
                     const char *tls_name, const char *ip);

/* Ends the connection, or what is to become one: no request is taken any more; on a later turn all
 * fail, then on_lost fires. The first reason counts. */
void redis_conn_lose(struct redis_conn *c, const char *reason);

/* See redis_link_hold. */
void redis_conn_hold(struct redis_conn *c, int64_t until_us);

/* Closes the socket, without a word to anybody: for another address. */
void redis_conn_close(struct redis_conn *c);

/* redis_request.c */

/* Nothing waits yet. The events are copied. */
void redis_requests_init(struct redis_requests *q, const struct redis_requests_events *events);

/* As redis_link_command and redis_link_script, whatever the state; there must be a context. */
int redis_requests_command(struct redis_requests *q, redis_link_cb *cb, void *arg, int argc,
                           const char *const *argv, const size_t *lengths)
    __attribute__((warn_unused_result));
int redis_requests_script(struct redis_requests *q, redis_link_cb *cb, void *arg,
                          const struct lua_script *script, int nkeys, int nargs,
                          const char *const *args, const size_t *lengths)
    __attribute__((warn_unused_result));

/* Has what there is to write written at the end of this turn, unless the socket is waited for. */
void redis_requests_write(struct redis_requests *q);

/* Since when the oldest request waits (monotonic); INT64_MAX: none does. */
int64_t redis_requests_oldest_us(const struct redis_requests *q);

enum redis_taken {
    REDIS_TAKEN,   /* its request has been called back */
    REDIS_RESENT,  /* the script's text was asked for, and has been sent */
    REDIS_UNASKED, /* no request waits */
};

/* Gives the reply to the oldest request. The reply stays the caller's. */
enum redis_taken redis_requests_answer(struct redis_requests *q, const struct redis_reply *reply);

/* Calls back every request with NULL. */
void redis_requests_fail_all(struct redis_requests *q, const char *error);

/* redis_resolve.c */

/* cb gets one of the host's n addresses, in numbers, or NULL and why there is none. NULL when
 * memory ran out. */
struct redis_resolver *
redis_resolver_new(struct loop *loop,
                   void (*cb)(void *arg, const char *ip, unsigned n, const char *error), void *arg);
void redis_resolver_free(struct redis_resolver *r); /* NULL is legal */

/* Asks for the address number `index` modulo their count; the callback comes on a later turn.
 * Returns 0, or -1 when it cannot be asked now. */
int redis_resolver_start(struct redis_resolver *r, const char *host, unsigned index)
    __attribute__((warn_unused_result));
/* Its callback does not come any more. Nothing when nothing was asked. */
void redis_resolver_cancel(struct redis_resolver *r);

/* redis_reply.c */

/* hiredis's reply, as the functions of redis_link.h read it: the same memory. */
struct redis_reply *redis_reply_wrap(redisReply *reply);

/* True for an error reply whose code (its first word) is `code`. */
bool redis_reply_has_code(const struct redis_reply *r, const char *code);

/* redis_tls.c: all tolerate ssl == NULL */

/* Puts TLS on a connected context, checking the server's certificate and its name. Returns 0, or -1
 * with the reason in `why`. */
int redis_tls_start(redisContext *context, const char *host, const char *ca_file,
                    struct ssl_st **ssl, char *why, size_t why_size)
    __attribute__((warn_unused_result));

/* OpenSSL's queue of errors is the thread's, and libpq fills it as well. */
void redis_tls_prepare(const struct ssl_st *ssl);
/* What the last call waits for, whatever it was to do. */
bool redis_tls_wants_read(const struct ssl_st *ssl);
bool redis_tls_wants_write(const struct ssl_st *ssl);

/* What TLS says about a failure of the connection: NULL when it is not to blame. */
const char *redis_tls_error(const struct ssl_st *ssl);

#endif
