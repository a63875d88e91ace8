/* Pure parsers for what comes from outside: numbers, durations, addresses, ids.
 *
 * All return 0 and set *out, or -1 and leave it alone. None trusts its input's length. */
#ifndef RS_PARSE_H
#define RS_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole decimal number within [min, max]; no blanks, no sign but '-'. */
int parse_int(const char *text, int64_t min, int64_t max, int64_t *out)
    __attribute__((warn_unused_result));

/* A duration with its unit: "500us", "500ms", "30s", "5m", "1h"; a fraction is allowed ("1.5s");
 * "0" needs no unit. *out is in microseconds. Negative or beyond 10 years: -1. */
int parse_duration_us(const char *text, int64_t *out) __attribute__((warn_unused_result));

/* Whether it is no duration only because it has no unit, and how that is said before what is
 * allowed. */
bool parse_lacks_unit(const char *text);
#define UNIT_MISSING "its unit (us, ms, s, m, h) is missing; "

/* A sorted set's score as Redis prints it: "1763942400000", "1.5e3", "inf", "-inf", "nan".
 * *out is in whole milliseconds, rounded up, clamped to [0, 253402300799000] (the end of the
 * year 9999). Not a number: -1. */
int parse_score_ms(const char *text, size_t len, int64_t *out) __attribute__((warn_unused_result));

/* Seconds since the epoch as Postgres prints extract(epoch ...): "1763942400.123456", "-12.5",
 * "Infinity". *out is in microseconds, clamped to [0, 253402300799000000]: what lies before 1970
 * has come, what lies after 9999 has not. Not a number: -1. */
int parse_epoch_us(const char *text, int64_t *out) __attribute__((warn_unused_result));

/* Whether it looks like a SQLSTATE: five digits or capital letters. */
bool parse_is_sqlstate(const char *text);

/* Where a Redis is. Strings are owned; NULL where absent. */
struct redis_address {
    char *host; /* host name or address; NULL with a socket path */
    char *path; /* unix socket */
    char *user;
    char *password;
    int port;
    int db;
    bool tls;
};

/* How the server is found. */
enum redis_kind {
    REDIS_ONE, /* it is named; a node of a Cluster is one too, from which the others are found */
    REDIS_SENTINELS, /* Sentinels know the master of a service */
    REDIS_CLUSTER,   /* the nodes of a Cluster know whose a slot is */
};

struct redis_host {
    char *host;
    int port;
};

#define REDIS_HOSTS_MAX 32

/* What a Redis URL says. Strings are owned; NULL where absent. */
struct redis_url {
    enum redis_kind kind;
    struct redis_address server; /* ONE: it; else what holds for each: user, password, db, tls */
    struct redis_host hosts[REDIS_HOSTS_MAX]; /* the Sentinels, or nodes of the Cluster */
    int n_hosts;                              /* at least one, but none with ONE */
    char *service;                            /* of the Sentinels: the master's name there */
    char *sentinel_user, *sentinel_password;  /* to the Sentinels themselves */
};

/* redis://[user:password@]host[:port][/db], unix://[user:password@]/path[?db=N],
 * redis+sentinel://[user:password@]host[:port],.../SERVICE[/db][?sentinel_username=...&
 * sentinel_password=...], redis+cluster://[user:password@]host[:port],...[/db]; with rediss in
 * place of redis: TLS. What is not a host or a number is percent-decoded; IPv6 hosts stand in
 * brackets. On failure *why (static storage) says what is allowed, never repeating the URL, which
 * may hold a password. */
int parse_redis_url(const char *url, struct redis_url *out, const char **why)
    __attribute__((warn_unused_result));

/* *out is overwritten. Returns 0, or -1 when memory ran out: *out is empty then. */
int redis_url_copy(struct redis_url *out, const struct redis_url *from)
    __attribute__((warn_unused_result));

/* Frees the strings and zeroes the struct. */
void redis_url_clear(struct redis_url *u);

/* What it names, for logs, without passwords; malloc'd, NULL: out of memory. */
char *redis_url_describe(const struct redis_url *u);

/* *out is overwritten. Returns 0, or -1 when memory ran out: *out is empty then. */
int redis_address_copy(struct redis_address *out, const struct redis_address *from)
    __attribute__((warn_unused_result));

/* Frees the strings and zeroes the struct. */
void redis_address_clear(struct redis_address *a);

/* "host:port", ":port" or "[v6]:port": host is malloc'd ("" for none given). */
int parse_listen(const char *text, char **host, int *port) __attribute__((warn_unused_result));

/* The kinds of id columns; an entry from Redis is checked against its kind before it reaches
 * SQL, so that one bad entry cannot fail a batch. */
enum id_kind {
    ID_TEXT,
    ID_BYTES, /* a text of a database without an encoding */
    ID_UUID,
    ID_INT2,
    ID_INT4,
    ID_INT8
};

#define ID_MAX_LEN 255

/* True when the text (len bytes, no terminator needed) is acceptable to Postgres as that kind:
 * at most 255 bytes; text: valid UTF-8 without NUL, maybe empty; uuid: as uuid_in reads it (any
 * case, optional braces, hyphens optional after any group of four digits); ints: decimal, in range.
 */
bool parse_id_valid(enum id_kind kind, const char *text, size_t len);

#endif
