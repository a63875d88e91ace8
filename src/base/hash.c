/* FNV-1a (Fowler, Noll, Vo; public domain). */
#include "base/hash.h"

uint64_t hash_text(const char *text)
{
    uint64_t h = 14695981039346656037u;

    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h != 0 ? h : 1;
}
