/* Where a Redis is, and where to listen. The first byte says which. */
#include "base/parse.h"
#include "fuzz.h"

static void check_hosts(const struct redis_url *u)
{
    FUZZ_CHECK(u->n_hosts >= 1 && u->n_hosts <= REDIS_HOSTS_MAX);
    FUZZ_CHECK(u->server.host == NULL && u->server.path == NULL);
    for (int i = 0; i < u->n_hosts; i++) {
        FUZZ_CHECK(u->hosts[i].host != NULL && *u->hosts[i].host != '\0');
        FUZZ_CHECK(u->hosts[i].port >= 1 && u->hosts[i].port <= 65535);
    }
    FUZZ_CHECK((u->service != NULL) == (u->kind == REDIS_SENTINELS));
    FUZZ_CHECK(u->service == NULL || *u->service != '\0');
    FUZZ_CHECK(u->sentinel_user == NULL || u->sentinel_password != NULL);
}

/* What is shown is the same whatever the passwords are. */
static void check_described(struct redis_url *u)
{
    char *text = redis_url_describe(u);
    char *password = u->server.password, *sentinel_password = u->sentinel_password;
    u->server.password = u->sentinel_password = NULL;
    char *without = redis_url_describe(u);
    u->server.password = password;
    u->sentinel_password = sentinel_password;
    FUZZ_CHECK_MEMORY(text != NULL && without != NULL);
    if (text != NULL && without != NULL)
        FUZZ_CHECK(strcmp(text, without) == 0);
    free(text);
    free(without);
}

static void check_copied(const struct redis_url *u)
{
    struct redis_url copy;
    if (redis_url_copy(&copy, u) == 0) {
        FUZZ_CHECK(copy.kind == u->kind && copy.n_hosts == u->n_hosts);
        FUZZ_CHECK(u->service == NULL || strcmp(copy.service, u->service) == 0);
    } else {
        FUZZ_CHECK_MEMORY(false);
    }
    redis_url_clear(&copy);
}

static void redis(const char *text)
{
    struct redis_url u = {0};
    const char *why = NULL;
    if (parse_redis_url(text, &u, &why) == 0) {
        const struct redis_address *a = &u.server;
        FUZZ_CHECK(a->db >= 0);
        if (u.kind != REDIS_ONE) {
            check_hosts(&u);
        } else {
            FUZZ_CHECK((a->host == NULL) != (a->path == NULL));
            FUZZ_CHECK(a->path != NULL || (a->port >= 1 && a->port <= 65535));
        }
        check_described(&u);
        check_copied(&u);
    } else {
        FUZZ_CHECK(why != NULL && *why != '\0');
        FUZZ_CHECK(u.server.host == NULL && u.server.path == NULL && u.hosts[0].host == NULL &&
                   u.server.password == NULL && u.sentinel_password == NULL);
    }
    redis_url_clear(&u);
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
