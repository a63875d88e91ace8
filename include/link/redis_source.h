/* Where Redis is. A link asks its source anew before each connection: for one address it is always
 * the same (redis_source_single); where Sentinels or a Cluster know, it is whom they name now.
 *
 * A source serves one link. It answers when it knows, or says why it does not; it bounds its own
 * questions in time, and the link gives it up at the deadline for a connection. A source that
 * learns by itself that its answer has become another calls redis_link_follow. */
#ifndef RS_REDIS_SOURCE_H
#define RS_REDIS_SOURCE_H

#include <stdbool.h>

struct redis_address;
struct redis_link;
struct redis_reply;
struct redis_server_info;

/* One server, and as whom it is talked to. Borrowed: whoever is given one copies it. */
struct redis_target {
    /* Host (a name or an address in numbers) and port, or a socket's path; user, password and
     * database; whether by TLS. Of a name that has several addresses each is tried. */
    const struct redis_address *address;
    /* The name that its certificate must have, if it has not the address's host in numbers; sent
     * as SNI too. NULL: the address's host. */
    const char *tls_name;
    /* ROLE must say that it is a master. INFO is asked in any case, where it is allowed. */
    bool ask_role;
    /* It is asked questions only: neither ROLE nor INFO is sent, nothing is judged. For sources
     * themselves, which ask Sentinels and replicas too. */
    bool questions_only;
};

/* target NULL: nobody knows where Redis is; why says so, in one sentence, without secrets. Both are
 * good for the call. */
typedef void redis_target_cb(void *arg, const struct redis_target *target, const char *why);

/* What becomes of a connection. */
enum redis_course {
    REDIS_STAY,
    REDIS_LEAVE,  /* it is lost; the source is asked again after the link's delay */
    REDIS_FOLLOW, /* it is lost; the source is asked again at once. The source bounds how often */
};

struct redis_source {
    /* Asks for the next target. cb fires once, perhaps from inside this call, unless the question
     * is cancelled before. It is not asked again before that. */
    void (*next)(void *arg, redis_target_cb *cb, void *cb_arg);
    /* cb must not fire any more. Only while a question waits. NULL: it never waits. */
    void (*cancel)(void *arg);

    /* Each of the following may be NULL. *why (set unless REDIS_STAY) is copied by the link: one
     * sentence, without secrets. */

    /* The link that it serves, once, from redis_link_new; NULL from redis_link_free. */
    void (*attach)(void *arg, struct redis_link *link);
    /* The server has answered the greeting, before the gate opens: may it be used? */
    enum redis_course (*greeted)(void *arg, const struct redis_server_info *info, const char **why);
    /* A request was answered with an error (type REDIS_LINK_ERROR: MOVED, ASK, CLUSTERDOWN ...),
     * after the request's own callback. Errors that make a server useless (redis_reply_useless)
     * lose the connection anyhow: REDIS_STAY is REDIS_LEAVE then. */
    enum redis_course (*refused)(void *arg, const struct redis_reply *error, const char **why);
    /* The connection, or the attempt at one, to the last target has ended. Before on_state. Whether
     * it is asked again at once: REDIS_FOLLOW, or not: REDIS_LEAVE. */
    enum redis_course (*lost)(void *arg, const char *reason);

    void *arg; /* outlives the link */
};

/* One address, which may change (a secret's file): asked for at each connection. */
struct redis_single {
    const struct redis_address *(*address)(void *arg); /* good until it is asked again */
    void *arg;
};

/* The source that names it. single must outlive the link. */
struct redis_source redis_source_single(const struct redis_single *single);

#endif
