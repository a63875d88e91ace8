/* UTF-8 as Postgres and JSON want it: no overlong forms, no surrogates, nothing past U+10FFFF. */
#ifndef RS_UTF8_H
#define RS_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the character that text begins with (1 to 4 bytes), or 0 when its first bytes are
 * none. Reads at most len bytes. */
size_t utf8_char_len(const char *text, size_t len);

/* True when all len bytes are characters; NUL is one. */
bool utf8_valid(const char *text, size_t len);

#endif
