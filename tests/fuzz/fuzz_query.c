/* The query string of an HTTP request. */
#include "fuzz.h"
#include "link/http_private.h"

#include <event2/http.h>
#include <event2/http_struct.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool dry_run = false;
    bool repair_stock = false;
    const struct http_switch switches[] = {{"dryRun", &dry_run}, {"repairStock", &repair_stock}};
    struct http_request request = {.evreq = evhttp_request_new(NULL, NULL)};
    char *query = fuzz_text(data, size);
    char *uri = malloc(size + sizeof("/reconcile?"));
    char error[80] = "";

    FUZZ_CHECK(request.evreq != NULL && uri != NULL);
    snprintf(uri, size + sizeof("/reconcile?"), "/reconcile?%s", query);
    request.evreq->uri_elems = evhttp_uri_parse_with_flags(uri, EVHTTP_URI_NONCONFORMANT);
    if (request.evreq->uri_elems != NULL &&
        http_query_read(&request, switches, 2, error, sizeof(error)) != 0)
        FUZZ_CHECK(error[0] != '\0' && strlen(error) < sizeof(error));
    evhttp_request_free(request.evreq);
    free(uri);
    free(query);
    return 0;
}
