/* Connection strings of Postgres. */
#include "fuzz.h"
#include "link/pg_link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    const char *variable;
    char error[120];
    memset(error, '#', sizeof(error));
    if (pg_conninfo_check(text, &variable, error, sizeof(error)) == 0) {
        char *described = pg_conninfo_describe(text);
        FUZZ_CHECK_MEMORY(described != NULL);
        free(described);
    } else {
        FUZZ_CHECK(memchr(error, '\0', sizeof(error)) != NULL && error[0] != '\0');
    }
    free(text);
    return 0;
}
