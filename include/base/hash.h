/* FNV-1a, 64 bits, of a text: for small tables of this process. */
#ifndef RS_HASH_H
#define RS_HASH_H

#include <stdint.h>

uint64_t hash_text(const char *text); /* never 0 */

#endif
