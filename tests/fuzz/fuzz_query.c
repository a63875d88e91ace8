/* The query string of an HTTP request. */
#include "fuzz.h"
#include "link/http_private.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const switches[] = {"dryRun", "repairStock", NULL};
    struct http_switches given;
    char *query = fuzz_text(data, size);
    char *error = NULL;
    if (http_query_read(query, switches, &given, &error) == 0)
        FUZZ_CHECK(error == NULL && given.seen < 4 && (given.on & ~given.seen) == 0);
    free(error);
    free(query);
    return 0;
}
