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

/* redis://[user:password@]host[:port][/db], rediss://..., unix://[user:password@]/path[?db=N];
 * user, password and path percent-decoded; IPv6 hosts in brackets. On failure *why (static storage)
 * says what is allowed, never repeating the URL, which may hold a password. */
int parse_redis_url(const char *url, struct redis_address *out, const char **why)
    __attribute__((warn_unused_result));

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
