/* Runs a fuzz target (tests/fuzz) over its seeds, each again and again, with the first, the second,
 * the third ... allocation of the program's own code failing, until one run needs no more. Nothing
 * may crash; with ASan nothing may leak. The library is linked with its allocating calls renamed to
 * the functions below (Makefile). */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void *failing_malloc(size_t size);
void *failing_calloc(size_t n, size_t size);
void *failing_realloc(void *old, size_t size);
char *failing_strdup(const char *text);
FILE *failing_open_memstream(char **text, size_t *size);
bool fuzz_out_of_memory(void);

static size_t until_failure; /* 0: none is to come */

static bool fails(void)
{
    return until_failure > 0 && --until_failure == 0;
}

bool fuzz_out_of_memory(void)
{
    return until_failure == 0;
}

void *failing_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

void *failing_calloc(size_t n, size_t size)
{
    return fails() ? NULL : calloc(n, size);
}

void *failing_realloc(void *old, size_t size)
{
    return fails() ? NULL : realloc(old, size);
}

char *failing_strdup(const char *text)
{
    return fails() ? NULL : strdup(text);
}

FILE *failing_open_memstream(char **text, size_t *size)
{
    return fails() ? NULL : open_memstream(text, size);
}

static uint8_t input[1 << 20];

/* How many allocations were made to fail. */
static size_t run(size_t size)
{
    for (size_t n = 1;; n++) {
        until_failure = n;
        LLVMFuzzerTestOneInput(input, size);
        if (until_failure > 0)
            return n - 1;
    }
}

int main(int argc, char **argv)
{
    size_t failed = 0;
    json_set_alloc_funcs(failing_malloc, free);
    for (int i = 1; i < argc; i++) {
        FILE *seed = fopen(argv[i], "rb");
        if (seed == NULL) {
            perror(argv[i]);
            return 1;
        }
        size_t size = fread(input, 1, sizeof(input), seed);
        fclose(seed);
        failed += run(size);
    }
    printf("ok    memory of %s (%zu allocations failed)\n", argv[0], failed);
    return failed > 0 ? 0 : 1;
}
