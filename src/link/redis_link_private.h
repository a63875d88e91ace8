/* What the parts of the Redis link share. Only these files include hiredis, and that for its format
 * and its parser. Each uses those below it alone, and calls upwards by callbacks:
 *
 *   redis_link.c     when there is a connection, and whether commands may pass; beside it the
 *                    sources, which say to where (redis_source.c)
 *   redis_attempt.c  from the host's name to a server that is of use
 *   redis_conn.c     when bytes are read and written, and the end of a connection; beside it
 *                    redis_resolve.c, the names
 *   redis_request.c  requests and their answers; beside it redis_stream.c, the socket, above
 *                    redis_tls.c
 *   redis_reader.c   the parser, above redis_reply.c, the replies */
#ifndef RS_REDIS_LINK_PRIVATE_H
#define RS_REDIS_LINK_PRIVATE_H

#include "base/backoff.h"
#include "base/callback.h"
#include "base/parse.h"
#include "link/redis_link.h"

#include <hiredis/hiredis.h>
#include <sys/queue.h>

#define REDIS_REASON_SIZE 256 /* of a reason that is given, with its end: of each `why` below */
#define REDIS_CLOSED "the server closed the connection"

struct addrinfo;
struct event;
struct redis_attempt;
struct redis_reader;
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
    char *command;                   /* with script: the formatted EVALSHA, of hiredis's heap */
    size_t command_len;
    int words; /* of the command, as formatted */
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
    struct event *writable; /* made active when there is something to write; NULL: no connection */
    enum redis_output output;
    char *unsent; /* commands as bytes: those from `begin` to `end` are to be written */
    size_t begin, end, size;
    event_cb *on_oldest; /* the request that waits longest is another one now */
    void *arg;
    bool calling; /* inside a callback of a request */
};

/* What an operation that cannot go on waits for. */
enum redis_wait { REDIS_WAIT_READABLE, REDIS_WAIT_WRITABLE };

struct redis_stream {
    int fd;             /* -1: there is none */
    struct ssl_st *ssl; /* NULL without TLS */
    enum redis_wait reading,
        writing; /* what the last call of each kind that got nothing waits for */
};

/* What happens to a connection, for whoever has it. All but on_lost may be NULL where they cannot
 * happen. Each may call redis_conn_lose. */
struct redis_conn_events {
    event_cb *on_connected; /* the socket; TLS is spoken with what is then asked for */
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
    struct redis_stream stream;
    struct redis_reader *reader;
    struct event *readable;
    bool connected; /* the socket is */
    bool answered;  /* once in its life */
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

/* Adds why an address cannot be connected to, unless it was said of another one. */
void redis_refusal_add(char *refusals, size_t size, const char *reason);

/* redis_conn.c */

/* Not connected. ca_file must outlive it. NULL when memory ran out. */
struct redis_conn *redis_conn_new(struct loop *loop, const char *ca_file);

/* Requests fail with NULL, from inside this call; on_lost does not fire. NULL is legal. */
void redis_conn_free(struct redis_conn *c);

/* From now on the events are these. */
void redis_conn_own(struct redis_conn *c, const struct redis_conn_events *events);

/* Begins to connect to the address's socket path, else to its port at `at`; address and tls_name
 * must outlive the connection. Ends in on_connected, on_refused (perhaps from inside this call) or
 * on_lost. */
void redis_conn_open(struct redis_conn *c, const struct redis_address *address,
                     const char *tls_name, const struct addrinfo *at);

/* Ends the connection, or what is to become one: no request is taken any more; on a later turn all
 * fail, then on_lost fires. The first reason counts. */
void redis_conn_lose(struct redis_conn *c, const char *reason);

/* There is a socket, and the server has not answered the TLS handshake. */
bool redis_conn_in_handshake(const struct redis_conn *c);

/* See redis_link_hold. */
void redis_conn_hold(struct redis_conn *c, int64_t until_us);

/* Closes the socket, without a word to anybody: for another address. */
void redis_conn_close(struct redis_conn *c);

/* redis_request.c */

/* Nothing waits yet. */
void redis_requests_init(struct redis_requests *q, event_cb *on_oldest, void *arg);

/* As redis_link_command and redis_link_script, whatever the state; there must be a connection. */
int redis_requests_command(struct redis_requests *q, redis_link_cb *cb, void *arg, int argc,
                           const char *const *argv, const size_t *lengths)
    __attribute__((warn_unused_result));
int redis_requests_script(struct redis_requests *q, redis_link_cb *cb, void *arg,
                          const struct lua_script *script, int nkeys, int nargs,
                          const char *const *args, const size_t *lengths)
    __attribute__((warn_unused_result));

/* Has what there is to write written at the end of this turn, unless the socket is waited for. */
void redis_requests_write(struct redis_requests *q);

/* What there is to write; *n bytes. */
const char *redis_requests_unsent(const struct redis_requests *q, size_t *n);

/* So much of it has been written. */
void redis_requests_sent(struct redis_requests *q, size_t n);

/* Drops it. */
void redis_requests_unsend(struct redis_requests *q);

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

/* at: one of the host's n addresses, without a port, good for the call; or NULL, and why there is
 * none. */
typedef void redis_resolved_cb(void *arg, const struct addrinfo *at, unsigned n, const char *error);

/* NULL when memory ran out. */
struct redis_resolver *redis_resolver_new(struct loop *loop, redis_resolved_cb *cb, void *arg);
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

/* redis_reader.c */

/* NULL when memory ran out. */
struct redis_reader *redis_reader_new(void);
void redis_reader_free(struct redis_reader *r); /* NULL is legal */

/* Takes bytes that have arrived. Returns 0, or -1 when memory ran out. */
int redis_reader_feed(struct redis_reader *r, const char *bytes, size_t n)
    __attribute__((warn_unused_result));

/* The next whole reply, to be freed; NULL with *why NULL: it has not all arrived; NULL with *why
 * (good as long as the reader): nothing that follows can be read. */
struct redis_reply *redis_reader_next(struct redis_reader *r, const char **why);
void redis_reply_free(struct redis_reply *reply);

/* redis_stream.c */

/* Begins to connect to the address's socket path, else to its port at `at`. Returns 0, or -1 with
 * `why` and nothing open. */
int redis_stream_open(struct redis_stream *s, const struct redis_address *address,
                      const struct addrinfo *at, char *why) __attribute__((warn_unused_result));

/* To be asked once the socket is writable: 0 when it is connected, or -1 with `why`. */
int redis_stream_connected(struct redis_stream *s, char *why) __attribute__((warn_unused_result));

/* Puts TLS on the connected socket; it is spoken with the first read or write. The certificate must
 * be for `name`, or for `address`, where that is one in numbers, which is borrowed until the stream
 * is closed; ca_file NULL: the system's. Returns 0, or -1 with `why`. */
int redis_stream_start_tls(struct redis_stream *s, const char *name, const char *address,
                           const char *ca_file, char *why) __attribute__((warn_unused_result));

/* Legal without one that is open, if zeroed with fd -1. */
void redis_stream_close(struct redis_stream *s);

/* How many bytes were read or written; 0: none now, see `reading` and `writing`; -1: the stream is
 * at its end, or of no use any more, with `why`. n and size are not 0. */
ssize_t redis_stream_read(struct redis_stream *s, char *out, size_t size, char *why);
ssize_t redis_stream_write(struct redis_stream *s, const char *bytes, size_t n, char *why);

/* redis_tls.c: the same for TLS on a connected socket, which stays the caller's */

/* NULL with `why`. */
struct ssl_st *redis_tls_new(int fd, const char *name, const char *address, const char *ca_file,
                             char *why);
void redis_tls_free(struct ssl_st *ssl); /* NULL is legal */
ssize_t redis_tls_read(struct ssl_st *ssl, char *out, size_t size, enum redis_wait *wait,
                       char *why);
ssize_t redis_tls_write(struct ssl_st *ssl, const char *bytes, size_t n, enum redis_wait *wait,
                        char *why);

/* The handshake is over. */
bool redis_tls_greeted(const struct ssl_st *ssl);

#endif
