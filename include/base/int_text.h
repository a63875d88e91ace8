/* Whole numbers as decimal text, where there are too many of them for printf. */
#ifndef RS_INT_TEXT_H
#define RS_INT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define INT_TEXT 21 /* the longest, with its sign and a terminator */

/* Writes it, terminated. Returns its length. */
size_t int_text(char out[INT_TEXT], int64_t number);

#define INT_TEXT_GROUPED (INT_TEXT + 6)

/* Writes it for people to read, "1,234,567", terminated. Returns out. */
const char *int_text_grouped(char out[INT_TEXT_GROUPED], int64_t number);

#endif
