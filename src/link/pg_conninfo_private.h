/* What the files on connection strings share: pg_conninfo.c (what others ask of them),
 * pg_conninfo_effective.c (what libpq makes of them), pg_conninfo_text.c (what may be shown). */
#ifndef RS_PG_CONNINFO_PRIVATE_H
#define RS_PG_CONNINFO_PRIVATE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#define PG_URI_HINT "in a URI, special characters of user and password are written as %XX"

/* An option's value; NULL: none. */
const char *pg_conninfo_value(const PQconninfoOption *options, const char *keyword);

/* How many hosts these options name; 1 with none. */
size_t pg_conninfo_hosts(const PQconninfoOption *options);

/* All options as a connection would have them: the string's, the service's, the environment's,
 * libpq's own. Of sslmode it does not tell. To be freed with PQconninfoFree; NULL: out of memory.
 */
PQconninfoOption *pg_conninfo_effective(const char *conninfo);

/* What stands after "scheme://"; NULL: the string is none of libpq's URIs. */
const char *pg_conninfo_uri_rest(const char *conninfo);

/* True when a part of the password may pass for something else: libpq ends it at the first '@' or
 * '/', and takes what is left of it for a host, a port or a database, which it then repeats in its
 * messages. rest: what follows the scheme. */
bool pg_conninfo_password_leaks(const char *rest);

/* True when `keyword` stands in the string before the first password: what stands after one may be
 * a piece of it that was not quoted or escaped. */
bool pg_conninfo_may_show(const char *conninfo, const char *keyword);

/* Asks libpq, without connecting, whether it would take these. given: what the string itself says.
 * As pg_conninfo_check. */
int pg_conninfo_judge(const char *conninfo, const PQconninfoOption *given, const char **variable,
                      char *error, size_t error_size) __attribute__((warn_unused_result));

#endif
