/* One attempt to connect to Redis, from the host's name to a server that is of use.
 *
 * How it works. The name is resolved without blocking (redis_resolve.c); the socket is opened to
 * one of its addresses; where nothing listens there, the next address belongs to the same attempt
 * ("localhost" is often two, of which one works). Then AUTH, SELECT, CLIENT SETNAME and INFO go out
 * at once, and their answers decide. The next attempt begins at the address behind the one that
 * failed, so that a host of which one address is a replica is served by the other.
 *
 * What must hold:
 * - An attempt ends once: done with NULL, from the answer to INFO, or done with a reason, from the
 *   loss of the connection. All that fails is such a loss (redis_conn_lose), also where there is no
 *   socket yet: so its end comes on a turn of its own.
 * - One deadline for all of it. After the end neither it nor the resolver calls back. */
#include "link/redis_link_private.h"

#include "base/time_units.h"
#include "link/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLDEST_MAJOR 6
#define OLDEST_MINOR 2

struct redis_attempt {
    struct redis_attempt_options options;
    struct redis_conn *conn;
    struct redis_resolver *resolver;
    struct timer *deadline;
    struct redis_address address; /* of this attempt, or of the connection that it led to */
    char *tls_name;               /* that its certificate must have */
    bool ask_role;
    bool questions_only;
    unsigned address_index;           /* which of the host's addresses is next */
    unsigned addresses_left;          /* that this attempt has not tried */
    char refusals[REDIS_REASON_SIZE]; /* of those that it has: why, each reason once */
    struct redis_server_info info;
};

static void end(struct redis_attempt *a)
{
    timer_clear(a->deadline);
    redis_resolver_cancel(a->resolver);
}

static void send_words(struct redis_attempt *a, redis_link_cb *cb, int argc,
                       const char *const *argv)
{
    size_t lengths[3];
    for (int i = 0; i < argc; i++)
        lengths[i] = strlen(argv[i]);
    if (!a->conn->lost &&
        redis_requests_command(&a->conn->requests, cb, a, argc, argv, lengths) != 0)
        redis_conn_lose(a->conn, "out of memory");
}

/* Answers that say nothing good end the attempt; AUTH and SELECT allow no error at all. */
static void on_required(void *arg, const struct redis_reply *reply, const char *error)
{
    struct redis_attempt *a = arg;
    (void)error;
    if (redis_reply_type(reply) == REDIS_LINK_ERROR)
        redis_conn_lose(a->conn, redis_reply_str(reply, NULL));
}

/* CLIENT may be forbidden or renamed: a connection without a name does as well. */
static void on_named(void *arg, const struct redis_reply *reply, const char *error)
{
    struct redis_attempt *a = arg;
    (void)error;
    if (redis_reply_useless(reply))
        redis_conn_lose(a->conn, redis_reply_str(reply, NULL));
}

/* Copies the value of `name:value` into out; "" when there is none. */
static void read_field(const char *info, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name);
    const char *line = info;
    out[0] = '\0';
    while (line != NULL) {
        if (strncmp(line, name, name_len) == 0 && line[name_len] == ':') {
            const char *value = line + name_len + 1;
            snprintf(out, size, "%.*s", (int)strcspn(value, "\r\n"), value);
            return;
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
}

/* A version that cannot be read is not held against the server. */
static bool too_old(const char *version)
{
    char *end_of_major;
    unsigned long major = strtoul(version, &end_of_major, 10);
    unsigned long minor;
    if (end_of_major == version || *end_of_major != '.')
        return false;
    minor = strtoul(end_of_major + 1, NULL, 10);
    return major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR);
}

/* Returns whether it is too old, by the version of Redis that it is like: Valkey says 7.2.4 there,
 * whatever it is. */
static bool read_version(struct redis_server_info *info, const char *text)
{
    char own[sizeof(info->version)];
    bool old;
    read_field(text, "redis_version", info->version, sizeof(info->version));
    old = too_old(info->version);
    read_field(text, "valkey_version", own, sizeof(own));
    snprintf(info->server, sizeof(info->server), "%s", own[0] != '\0' ? "Valkey" : "Redis");
    if (own[0] != '\0')
        snprintf(info->version, sizeof(info->version), "%s", own);
    return old;
}

const char *redis_info_read(struct redis_server_info *info, const char *text)
{
    char word[16];
    bool old;
    memset(info, 0, sizeof(*info));
    old = read_version(info, text);
    read_field(text, "run_id", info->run_id, sizeof(info->run_id));
    read_field(text, "maxmemory_policy", info->maxmemory_policy, sizeof(info->maxmemory_policy));
    read_field(text, "redis_mode", word, sizeof(word));
    if (word[0] == '\0') /* Valkey may name it so */
        read_field(text, "server_mode", word, sizeof(word));
    info->cluster = strcmp(word, "cluster") == 0;
    info->sentinel = strcmp(word, "sentinel") == 0;

    if (old)
        return "Redis is older than 6.2";
    read_field(text, "loading", word, sizeof(word));
    if (strcmp(word, "1") == 0)
        return "LOADING Redis is loading its data";
    read_field(text, "role", word, sizeof(word));
    if (strcmp(word, "slave") == 0 || strcmp(word, "replica") == 0)
        return "read-only replica";
    return NULL;
}

static void succeed(struct redis_attempt *a)
{
    end(a);
    a->options.done(a->options.arg, NULL);
}

/* Of all that is sent to a server that is only asked questions this is the last. */
static void on_introduced(void *arg, const struct redis_reply *reply, const char *error)
{
    struct redis_attempt *a = arg;
    on_named(arg, reply, error);
    if (reply != NULL && !a->conn->lost)
        succeed(a);
}

static void on_role(void *arg, const struct redis_reply *reply, const char *error)
{
    struct redis_attempt *a = arg;
    const char *role = redis_reply_str(redis_reply_at(reply, 0), NULL);
    char reason[REDIS_REASON_SIZE];
    (void)error;
    if (reply == NULL || a->conn->lost || strcmp(role, "master") == 0)
        return;
    if (redis_reply_type(reply) == REDIS_LINK_ERROR)
        snprintf(reason, sizeof(reason), "ROLE: %s", redis_reply_str(reply, NULL));
    else
        snprintf(reason, sizeof(reason), "ROLE does not say that it is a master");
    redis_conn_lose(a->conn, reason);
}

static void on_info(void *arg, const struct redis_reply *reply, const char *error)
{
    struct redis_attempt *a = arg;
    const char *useless = NULL;
    (void)error;
    if (reply == NULL || a->conn->lost)
        return;
    memset(&a->info, 0, sizeof(a->info));
    if (redis_reply_useless(reply))
        useless = redis_reply_str(reply, NULL);
    else if (redis_reply_type(reply) == REDIS_LINK_STRING)
        useless = redis_info_read(&a->info, redis_reply_str(reply, NULL));
    /* Any other answer is an ACL that forbids INFO: there is less to show, nothing is missed. */
    if (useless != NULL) {
        redis_conn_lose(a->conn, useless);
        return;
    }
    succeed(a);
}

static void on_connected(void *arg)
{
    struct redis_attempt *a = arg;
    const struct redis_address *address = &a->address;
    char db[16];
    if (address->password != NULL && address->user != NULL)
        send_words(a, on_required, 3, (const char *[]){"AUTH", address->user, address->password});
    else if (address->password != NULL)
        send_words(a, on_required, 2, (const char *[]){"AUTH", address->password});
    if (address->db != 0) {
        snprintf(db, sizeof(db), "%d", address->db);
        send_words(a, on_required, 2, (const char *[]){"SELECT", db});
    }
    send_words(a, a->questions_only ? on_introduced : on_named, 3,
               (const char *[]){"CLIENT", "SETNAME", "reservation-sweeper"});
    if (a->questions_only)
        return;
    if (a->ask_role)
        send_words(a, on_role, 1, (const char *[]){"ROLE"});
    send_words(a, on_info, 1, (const char *[]){"INFO"});
}

void redis_refusal_add(char *refusals, size_t size, const char *reason)
{
    size_t said = strlen(refusals);
    if (strstr(refusals, reason) == NULL)
        snprintf(refusals + said, size - said, "%s%s", said > 0 ? "; " : "", reason);
}

/* Nothing listens at this address. That of another one counts as much: of localhost, ::1 cannot
 * even be asked where there is no IPv6. */
static void on_refused(void *arg, const char *reason)
{
    struct redis_attempt *a = arg;
    redis_refusal_add(a->refusals, sizeof(a->refusals), reason);
    if (a->addresses_left > 1) {
        a->addresses_left--;
        a->address_index++;
        redis_conn_close(a->conn);
        if (redis_resolver_start(a->resolver, a->address.host, a->address_index) == 0)
            return;
    }
    redis_conn_lose(a->conn, a->refusals);
}

static void on_lost(void *arg, const char *reason)
{
    struct redis_attempt *a = arg;
    a->address_index++;
    end(a);
    a->options.done(a->options.arg, reason);
}

static void on_resolved(void *arg, const struct addrinfo *at, unsigned n, const char *error)
{
    struct redis_attempt *a = arg;
    if (a->conn->lost)
        return;
    if (a->addresses_left == 0)
        a->addresses_left = n;
    if (at != NULL)
        redis_conn_open(a->conn, &a->address, a->tls_name, at);
    else
        redis_conn_lose(a->conn, error);
}

static void on_deadline(void *arg)
{
    struct redis_attempt *a = arg;
    char reason[96];
    snprintf(reason, sizeof(reason), "%s within %lld ms",
             redis_conn_in_handshake(a->conn) ? "TLS: no answer to the TLS handshake"
                                              : "no connection",
             (long long)(a->options.timeout_us / MS_US));
    redis_conn_lose(a->conn, reason);
}

static void forget_target(struct redis_attempt *a)
{
    redis_address_clear(&a->address);
    free(a->tls_name);
    a->tls_name = NULL;
}

static int copy_target(struct redis_attempt *a, const struct redis_target *target)
{
    const char *name = target->tls_name != NULL ? target->tls_name : target->address->host;
    forget_target(a);
    a->ask_role = target->ask_role;
    a->questions_only = target->questions_only;
    a->tls_name = name != NULL ? strdup(name) : NULL;
    return (name == NULL || a->tls_name != NULL) ? redis_address_copy(&a->address, target->address)
                                                 : -1;
}

void redis_attempt_start(struct redis_attempt *a, const struct redis_target *target)
{
    const struct redis_conn_events events = {
        .on_connected = on_connected, .on_refused = on_refused, .on_lost = on_lost, .arg = a};
    redis_conn_own(a->conn, &events);
    a->addresses_left = 0;
    a->refusals[0] = '\0';
    timer_after_us(a->deadline, a->options.timeout_us);
    if (copy_target(a, target) != 0)
        redis_conn_lose(a->conn, "out of memory");
    else if (a->address.path != NULL)
        redis_conn_open(a->conn, &a->address, NULL, NULL);
    else if (redis_resolver_start(a->resolver, a->address.host, a->address_index) != 0)
        redis_conn_lose(a->conn, "the host name cannot be resolved now");
}

const struct redis_server_info *redis_attempt_info(const struct redis_attempt *a)
{
    return &a->info;
}

struct redis_attempt *redis_attempt_new(struct loop *loop, struct redis_conn *conn,
                                        const struct redis_attempt_options *options)
{
    struct redis_attempt *a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->options = *options;
    a->conn = conn;
    a->deadline = timer_new_deadline(loop, on_deadline, a);
    a->resolver = redis_resolver_new(loop, on_resolved, a);
    if (a->deadline == NULL || a->resolver == NULL) {
        redis_attempt_free(a);
        return NULL;
    }
    return a;
}

void redis_attempt_free(struct redis_attempt *a)
{
    if (a == NULL)
        return;
    redis_resolver_free(a->resolver);
    timer_free(a->deadline);
    forget_target(a);
    free(a);
}
