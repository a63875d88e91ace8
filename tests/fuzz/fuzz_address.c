/* Where a Redis is, and where to listen. The first byte says which. */
#include "base/parse.h"
#include "fuzz.h"

static void redis(const char *text)
{
    struct redis_address a = {0};
    const char *why = NULL;
    if (parse_redis_url(text, &a, &why) == 0) {
        FUZZ_CHECK((a.host == NULL) != (a.path == NULL));
        FUZZ_CHECK(a.path != NULL || (a.port >= 1 && a.port <= 65535));
        FUZZ_CHECK(a.db >= 0);
    } else {
        FUZZ_CHECK(why != NULL && *why != '\0');
        FUZZ_CHECK(a.host == NULL && a.path == NULL && a.user == NULL && a.password == NULL);
    }
    redis_address_clear(&a);
}

static void listen_at(const char *text)
{
    char *host = NULL;
    int port = -1;
    if (parse_listen(text, &host, &port) == 0) {
        FUZZ_CHECK(host != NULL && port >= 0 && port <= 65535);
        free(host);
    } else {
        FUZZ_CHECK(host == NULL && port == -1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = fuzz_text(data + 1, size - 1);
    if (data[0] == 'r')
        redis(text);
    else
        listen_at(text);
    free(text);
    return 0;
}
