/* For the daemon itself, linked as the other programs here are (Makefile): while it runs, of its
 * own code's allocations every n-th fails. n is what a file holds (RS_SCARCE_FILE) and may change
 * at any moment; 0: none. Jansson's are not among them: it asserts when it lacks memory while it
 * reads a text with escapes. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *failing_malloc(size_t size);
void *failing_calloc(size_t n, size_t size);
void *failing_realloc(void *old, size_t size);
char *failing_strdup(const char *text);
FILE *failing_open_memstream(char **text, size_t *size);

/* every: the test's; failed: how many have, for the test. */
static volatile struct {
    uint64_t every, failed;
} * scarce;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("RS_SCARCE_FILE");
    int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at = fd < 0 ? MAP_FAILED
                      : mmap(NULL, sizeof(*scarce), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        abort(); /* a test with memory enough would show nothing */
    close(fd);
    scarce = at;
}

static bool fails(void)
{
    static uint64_t made;
    uint64_t every = scarce->every;
    if (every == 0 || ++made % every != 0)
        return false;
    scarce->failed++;
    return true;
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
