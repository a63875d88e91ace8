/* One connection to Redis that keeps itself alive. The only module that includes hiredis.
 *
 * States: DOWN (waiting to connect again) -> CONNECTING (the source, TCP, AUTH, SELECT, CLIENT
 * SETNAME, INFO) -> UP. Only UP opens the gate for commands. Each connection attempt and each
 * command has a deadline; a command past its deadline closes the connection, since its answer can
 * no longer be told from the next one's. A lost connection fails every pending command exactly
 * once, with a NULL reply, before on_state(DOWN) and never from inside the caller of a send
 * function. */
#ifndef RS_REDIS_LINK_H
#define RS_REDIS_LINK_H

#include "link/redis_source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct redis_link;
struct redis_reply;

enum redis_state { REDIS_LINK_DOWN, REDIS_LINK_CONNECTING, REDIS_LINK_UP };

struct redis_link_options {
    struct redis_source source;
    const char *ca_file;        /* for TLS; NULL: the system's */
    int64_t connect_timeout_us; /* for the source's answer, and again for all that follows it */
    int64_t command_timeout_us;
    int64_t backoff_min_us, backoff_max_us;
    /* Called when the gate opens (UP) or closes (DOWN), with a reason for the latter; also with
     * DOWN for each failed attempt to connect, unless it only led to another server. */
    void (*on_state)(void *arg, enum redis_state state, const char *reason);
    void *arg;
};

/* What INFO said at the last connect. */
struct redis_server_info {
    char server[16];  /* "Redis" or "Valkey" */
    char version[32]; /* its own; "" when not told */
    char run_id[48];
    char maxmemory_policy[32]; /* "" when not told */
    bool cluster;              /* a node of a Cluster */
    bool sentinel;
};

/* NULL when memory ran out. Does nothing before redis_link_start. */
struct redis_link *redis_link_new(struct loop *loop, const struct redis_link_options *options);

/* Pending callbacks are called with NULL, on_state is not. Not allowed inside a callback of this
 * link (use redis_link_stop there); NULL is legal. */
void redis_link_free(struct redis_link *link);

/* Connects on the next turn of the loop. */
void redis_link_start(struct redis_link *link);

/* DOWN from the moment at which a loss is noticed, which is before on_state says so. */
enum redis_state redis_link_state(const struct redis_link *link);

/* All zero before the first connection. Good for the link's life; changes with each connection. */
const struct redis_server_info *redis_link_info(const struct redis_link *link);

/* How often there was a connection again after the first. */
uint64_t redis_link_reconnects(const struct redis_link *link);

/* Why the last connection or attempt ended; "" when none has. */
const char *redis_link_last_error(const struct redis_link *link);

/* Closes the connection and connects again (a server that is up but of no use: READONLY after a
 * failover, say). Pending commands fail with NULL on a later turn. */
void redis_link_reset(struct redis_link *link, const char *reason);

/* The same, but connects again at once, for a source (see there) that knows another target now;
 * also where the link waits for its next attempt. */
void redis_link_follow(struct redis_link *link, const char *reason);

/* Closes for good: no reconnect; pending commands fail with NULL. */
void redis_link_stop(struct redis_link *link);

/* reply is NULL when there is no answer: whether the command ran is unknown; `error` says why.
 * An error reply has type REDIS_LINK_ERROR. The reply belongs to the link and ends with the call.
 * A callback may send commands, except after NULL (they are refused then). */
typedef void redis_link_cb(void *arg, const struct redis_reply *reply, const char *error);

/* Sends one command. Returns 0, or -1 when the gate is closed or memory ran out: the callback
 * will then not be called. */
int redis_link_command(struct redis_link *link, redis_link_cb *cb, void *arg, int argc,
                       const char *const *argv, const size_t *lengths)
    __attribute__((warn_unused_result));

/* What has been asked for on this turn of the loop leaves with the next request, in one write, or
 * at until_us (monotonic) if there is none before. Without this it leaves at the end of the turn.
 * Does nothing where there is nothing to write, or the socket is behind. */
void redis_link_hold(struct redis_link *link, int64_t until_us);

/* A Lua script: its text and its SHA1, made at build time from lua/ (see lua_scripts.h). */
struct lua_script {
    const char *name;
    const char *text;
    char sha1[41];
};

/* EVALSHA with nkeys keys first in args; on NOSCRIPT the same by EVAL, once. */
int redis_link_script(struct redis_link *link, redis_link_cb *cb, void *arg,
                      const struct lua_script *script, int nkeys, int nargs,
                      const char *const *args, const size_t *lengths)
    __attribute__((warn_unused_result));

/* Reading replies. Every accessor tolerates a wrong type: 0, "" or NULL. */
enum redis_type {
    REDIS_LINK_NIL,
    REDIS_LINK_STRING,
    REDIS_LINK_STATUS,
    REDIS_LINK_INTEGER,
    REDIS_LINK_ARRAY,
    REDIS_LINK_ERROR
};
/* NIL for NULL too. */
enum redis_type redis_reply_type(const struct redis_reply *r);

/* Of STRING, STATUS and ERROR: terminated, any bytes; *len (NULL is legal) without the terminator.
 */
const char *redis_reply_str(const struct redis_reply *r, size_t *len);

/* Of INTEGER. */
int64_t redis_reply_int(const struct redis_reply *r);

/* Of ARRAY: how many elements, and element i; NULL beyond the last. */
size_t redis_reply_len(const struct redis_reply *r);
const struct redis_reply *redis_reply_at(const struct redis_reply *r, size_t i);

/* True for errors that say the server is of no use at present (READONLY, LOADING, MOVED): the link
 * is lost with such an answer. */
bool redis_reply_useless(const struct redis_reply *r);

/* The version of the library in use, "1.2.0". */
const char *redis_link_library_version(void);

#endif
