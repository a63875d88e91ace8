/* What the parts of the Redis link share. Only these files include hiredis:
 * redis_link.c (states, socket), redis_request.c (requests), redis_connect.c (handshake),
 * redis_resolve.c, redis_tls.c, redis_reply.c. */
#ifndef RS_REDIS_LINK_PRIVATE_H
#define RS_REDIS_LINK_PRIVATE_H

#include "base/backoff.h"
#include "link/redis_link.h"

#include <hiredis/hiredis.h>
#include <sys/queue.h>

struct event;
struct redis_resolver;
struct ssl_st;
struct timer;

/* One command whose answer is awaited. */
struct redis_request {
    STAILQ_ENTRY(redis_request) entry;
    redis_link_cb *cb;
    void *arg;
    int64_t sent_us;
    const struct lua_script *script; /* sent by its SHA1 and may have to be sent as text; or NULL */
    char *command; /* with script: the formatted EVALSHA, owned by hiredis's heap */
    size_t command_len;
    int words; /* of the command, as formatted */
};

struct redis_link {
    struct loop *loop;
    struct redis_link_options options;
    struct redis_address address; /* of this attempt, or of the connection */
    enum redis_state state;       /* written by redis_link.c alone */
    bool closing; /* lost: the pending requests fail on a later turn, then on_state */
    bool stopped;
    bool in_callback; /* redis_link_free is not allowed then */
    bool was_up;

    redisContext *context; /* non-blocking; NULL while DOWN */
    struct ssl_st *ssl;    /* owned by the context */
    struct event *readable, *writable;
    bool connected; /* the socket is */
    STAILQ_HEAD(, redis_request) pending;

    struct timer *deadline; /* CONNECTING: of the attempt; UP: of the oldest request */
    struct timer *teardown;
    struct timer *retry;
    struct backoff backoff;
    struct redis_resolver *resolver;
    unsigned address_index;  /* which of the host's addresses is next */
    unsigned addresses_left; /* that this attempt has not tried */
    uint64_t reconnects;
    struct redis_server_info info;
    char last_error[256];
};

/* redis_link.c */

/* Closes the gate; the rest happens on a later turn. The first reason counts. */
void redis_link_lost(struct redis_link *link, const char *reason);

/* The handshake is done: opens the gate. */
void redis_link_opened(struct redis_link *link);

/* redis_request.c */

/* Sends whatever the state. Returns 0 or -1. */
int redis_link_send(struct redis_link *link, redis_link_cb *cb, void *arg, int argc,
                    const char *const *argv, const size_t *lengths)
    __attribute__((warn_unused_result));

/* Gives the reply to the oldest request. The reply stays the caller's. */
void redis_request_answer(struct redis_link *link, redisReply *raw);

/* Calls back every request with NULL and the link's last error. */
void redis_request_fail_all(struct redis_link *link);

/* redis_connect.c */

/* Begins a connection to the address's socket path, else to `ip`. NULL, with the reason in `why`,
 * when that failed at once. */
redisContext *redis_connect_begin(const struct redis_address *address, const char *ip, char *why,
                                  size_t why_size);

/* Sends AUTH, SELECT, CLIENT SETNAME and INFO in one go; the last answer calls
 * redis_link_opened, a bad one redis_link_lost. */
void redis_connect_handshake(struct redis_link *link);

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
void redis_resolver_cancel(struct redis_resolver *r);

/* redis_reply.c */

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
bool redis_tls_wants_read(const struct ssl_st *ssl);
bool redis_tls_wants_write(const struct ssl_st *ssl);

/* What TLS says about a failure of the connection: NULL when it is not to blame. */
const char *redis_tls_error(const struct ssl_st *ssl);

#endif
