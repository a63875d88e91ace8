/* What the fuzz targets share. Each target is one program: libFuzzer calls it with its inputs. */
#ifndef RS_FUZZ_H
#define RS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. Not assert(), which a release build may leave out. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* Defined where allocations are made to fail (tests/memory): whether one has, in this run. */
bool fuzz_out_of_memory(void) __attribute__((weak));

/* What must hold but for want of memory. */
#define FUZZ_CHECK_MEMORY(condition)                                                               \
    FUZZ_CHECK((condition) || (fuzz_out_of_memory != NULL && fuzz_out_of_memory()))

/* The bytes as a string in memory of just that size, so that reading past its end is noticed. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    FUZZ_CHECK(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
