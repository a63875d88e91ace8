/* The query string of an HTTP request. */
#include "fuzz.h"
#include "link/http_private.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_param params[] = {
        {"dryRun", false}, {"repairStock", false}, {"queue", true}, {NULL, false}};
    struct http_given given;
    char *query = fuzz_text(data, size);
    char *error = NULL;
    if (http_query_read(query, params, &given, &error) == 0)
        FUZZ_CHECK(error == NULL && given.seen < 8 && (given.on & ~given.seen) == 0 &&
                   ((given.seen & 4) != 0) == (given.texts[2] != NULL));
    http_given_clear(&given);
    free(error);
    free(query);
    return 0;
}
