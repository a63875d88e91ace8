/* FNV-1a (Fowler, Noll, Vo; public domain). */
#include "base/hash.h"

#define OFFSET_BASIS UINT64_C(14695981039346656037)
#define PRIME UINT64_C(1099511628211)

uint64_t hash_text(const char *text)
{
    uint64_t hash = OFFSET_BASIS;
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * PRIME;
    return hash != 0 ? hash : 1;
}

uint64_t hash_without_digits(const char *text)
{
    uint64_t hash = OFFSET_BASIS;
    for (; *text != '\0'; text++)
        if (*text < '0' || *text > '9')
            hash = (hash ^ (unsigned char)*text) * PRIME;
    return hash;
}
