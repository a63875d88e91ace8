/* Foreign text as JSON: what comes from Redis, Postgres or the environment may be any bytes. */
#ifndef RS_JSON_TEXT_H
#define RS_JSON_TEXT_H

#include <stddef.h>

struct json_t;

/* A JSON string of any bytes, whole, NUL included: each byte that is no UTF-8 becomes U+FFFD. The
 * caller owns it. NULL when memory ran out. */
struct json_t *json_bytes(const char *bytes, size_t len);

/* The same of a terminated text. */
struct json_t *json_text(const char *text);

#endif
