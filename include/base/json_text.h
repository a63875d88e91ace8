/* Foreign text as JSON. */
#ifndef RS_JSON_TEXT_H
#define RS_JSON_TEXT_H

#include <stddef.h>

struct json_t;

/* A JSON string of any bytes, whole: what is no UTF-8 is shown as a question mark for each byte.
 * NULL when memory ran out. */
struct json_t *json_text(const char *text, size_t len);

#endif
