/* Hashes of texts, for small tables of this process: whoever can choose the texts can make them
 * collide, so what is kept by them is limited in number. */
#ifndef RS_HASH_H
#define RS_HASH_H

#include <stdint.h>

/* Of all bytes; never 0, which may stand for "none". */
uint64_t hash_text(const char *text);

/* Of all bytes but digits: two reasons that differ in a port, a pid or a duration are one. */
uint64_t hash_without_digits(const char *text);

#endif
