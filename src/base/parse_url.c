/* The parser of Redis URLs. */
#include "base/parse.h"

#include "base/host.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define REDIS_PORT 6379
#define SENTINEL_PORT 26379

static const char why_scheme[] =
    "it begins with redis:// or rediss:// (TLS), redis+sentinel:// or rediss+sentinel://, "
    "redis+cluster:// or rediss+cluster://, or unix:// (a socket's path)";
static const char why_memory[] = "memory ran out";
static const char why_user[] = "user and password are written user:password@ or :password@";
static const char why_percent[] =
    "in user, password, path and parameters, % is followed by two hexadecimal digits, not 00";
static const char why_host[] = "after redis:// follows host, host:port or [IPv6]:port, with a port "
                               "from 1 to 65535; / @ : ? # and % in a password are written as "
                               "%2F %40 %3A %3F %23 %25";
static const char why_hosts[] =
    "after :// follow one to 32 hosts with commas between them, each a host, host:port or "
    "[IPv6]:port, with a port from 1 to 65535; / @ : ? # and % in a password are written as "
    "%2F %40 %3A %3F %23 %25";
static const char why_password[] =
    "an @ behind a / ? or #: / @ : ? # and % in a password are written as %2F %40 %3A %3F %23 %25";
static const char why_several[] = "redis:// and rediss:// name one host; several are named with "
                                  "redis+sentinel:// or redis+cluster://";
static const char why_service[] =
    "behind the Sentinels stands /SERVICE, the name that they have for the master, of at most 255 "
    "bytes without control characters";
static const char why_db[] = "the database is a whole number from 0";
static const char why_query[] = "no parameters are known after ?, but db=N with unix://, and "
                                "sentinel_username and sentinel_password with redis+sentinel://";
static const char why_sentinel_query[] =
    "after ? may stand sentinel_username=... and sentinel_password=..., each once and not empty, "
    "with & between them, and no user without a password";
static const char why_path[] = "a socket is written unix:///path or unix:///path?db=N, with an "
                               "absolute path of at most 107 bytes";

static int hex_value(char digit)
{
    if (isdigit((unsigned char)digit))
        return digit - '0';
    return tolower((unsigned char)digit) - 'a' + 10;
}

/* The text with its %XX decoded, malloc'd. NULL with *why set. */
static char *percent_decode(const char *text, size_t len, const char **why)
{
    char *out = malloc(len + 1);
    size_t n = 0;
    if (out == NULL) {
        *why = why_memory;
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '%') {
            out[n++] = text[i];
            continue;
        }
        if (len - i < 3 || !isxdigit((unsigned char)text[i + 1]) ||
            !isxdigit((unsigned char)text[i + 2]) || (text[i + 1] == '0' && text[i + 2] == '0')) {
            *why = why_percent;
            free(out);
            return NULL;
        }
        out[n++] = (char)(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
        i += 2;
    }
    out[n] = '\0';
    return out;
}

/* "user:password" or ":password"; nothing at all is legal too. */
static int parse_userinfo(const char *text, size_t len, struct redis_address *a, const char **why)
{
    const char *colon = memchr(text, ':', len);
    if (len == 0)
        return 0;
    /* A user without a password cannot be authenticated: dropping it silently would be wrong. */
    if (colon == NULL || colon + 1 == text + len) {
        *why = why_user;
        return -1;
    }
    if (colon > text) {
        a->user = percent_decode(text, (size_t)(colon - text), why);
        if (a->user == NULL)
            return -1;
    }
    a->password = percent_decode(colon + 1, len - (size_t)(colon + 1 - text), why);
    return a->password == NULL ? -1 : 0;
}

static int parse_db(const char *text, int *db, const char **why)
{
    int64_t number;
    if (parse_int(text, 0, INT_MAX, &number) != 0) {
        *why = why_db;
        return -1;
    }
    *db = (int)number;
    return 0;
}

/* "/db", "/" or nothing. */
static int parse_db_path(const char *text, int *db, const char **why)
{
    if (*text == '\0' || text[1] == '\0')
        return 0;
    return parse_db(text + 1, db, why);
}

/* What follows the hosts where no parameters are known: "/db", "/" or nothing. A "/" or "#" of a
 * password that is not written as %XX ends the hosts too early, with an "@" behind it. */
static int parse_rest(const char *rest, int *db, const char **why)
{
    if (strchr(rest, '@') != NULL) {
        *why = why_password;
        return -1;
    }
    if (strpbrk(rest, "?#") != NULL) {
        *why = why_query;
        return -1;
    }
    return parse_db_path(rest, db, why);
}

/* What follows the user in redis:// and rediss://: len bytes of host and port, then [/db]. */
static int parse_one(const char *text, size_t len, struct redis_url *u, const char **why)
{
    struct redis_address *a = &u->server;
    a->port = REDIS_PORT;
    if (len > 0 && memchr(text, ',', len) != NULL) {
        *why = why_several;
        return -1;
    }
    if (len == 0 || host_port_parse(text, len, &a->host, &a->port) != 0 || *a->host == '\0') {
        *why = why_host;
        return -1;
    }
    return parse_rest(text + len, &a->db, why);
}

/* What follows the user in unix://: len bytes of host, of which there must be none, then
 * /path[?db=N]. */
static int parse_unix(const char *text, size_t len, struct redis_url *u, const char **why)
{
    struct redis_address *a = &u->server;
    const struct sockaddr_un *sun = NULL;
    const char *path = text + len;
    size_t path_len = strcspn(path, "?#");
    const char *query = path + path_len;
    if (len > 0 || path_len < 2) {
        *why = why_path;
        return -1;
    }
    a->path = percent_decode(path, path_len, why);
    if (a->path == NULL)
        return -1;
    if (strlen(a->path) >= sizeof(sun->sun_path)) {
        *why = why_path;
        return -1;
    }
    if (*query == '\0')
        return 0;
    if (strncmp(query, "?db=", 4) != 0) {
        *why = why_query;
        return -1;
    }
    return parse_db(query + 4, &a->db, why);
}

/* len bytes of hosts, with commas between them. */
static int parse_hosts(const char *text, size_t len, int port, struct redis_url *u,
                       const char **why)
{
    const char *end = text + len;
    for (const char *next = text; next <= end; text = next) {
        size_t host_len = strcspn(text, ",/?#");
        struct redis_host *host = &u->hosts[u->n_hosts];
        next = text + host_len + 1;
        if (u->n_hosts == REDIS_HOSTS_MAX || host_len == 0 ||
            host_port_parse(text, host_len, &host->host, &host->port) != 0) {
            *why = why_hosts;
            return -1;
        }
        u->n_hosts++;
        if (host->port == 0)
            host->port = port;
        if (*host->host == '\0') {
            *why = why_hosts;
            return -1;
        }
    }
    return 0;
}

/* "name=value", len bytes of it. */
static int parse_sentinel_word(const char *text, size_t len, struct redis_url *u, const char **why)
{
    static const char user[] = "sentinel_username=", password[] = "sentinel_password=";
    char **out = NULL;
    if (strncmp(text, user, strlen(user)) == 0)
        out = &u->sentinel_user;
    else if (strncmp(text, password, strlen(password)) == 0)
        out = &u->sentinel_password;
    if (out == NULL || *out != NULL || len <= strlen(user)) {
        *why = why_sentinel_query;
        return -1;
    }
    *out = percent_decode(text + strlen(user), len - strlen(user), why);
    return *out == NULL ? -1 : 0;
}

/* Behind "?", or nothing. */
static int parse_sentinel_query(const char *text, struct redis_url *u, const char **why)
{
    size_t len;
    while (*text != '\0') {
        text++; /* the ? or an & */
        len = strcspn(text, "&#");
        if (text[len] == '#') {
            *why = why_sentinel_query;
            return -1;
        }
        if (parse_sentinel_word(text, len, u, why) != 0)
            return -1;
        text += len;
    }
    if (u->sentinel_user != NULL && u->sentinel_password == NULL) {
        *why = why_sentinel_query;
        return -1;
    }
    return 0;
}

static bool service_allowed(const char *service)
{
    const char *c = service;
    while (*c != '\0' && !iscntrl((unsigned char)*c))
        c++;
    return *c == '\0' && c > service && c - service <= 255;
}

/* What follows the user in redis+sentinel://: hosts/SERVICE[/db][?sentinel_...]. */
static int parse_sentinels(const char *text, size_t len, struct redis_url *u, const char **why)
{
    const char *path = text + len;
    const char *query = path + strcspn(path, "?#");
    char *db = NULL;
    size_t service_len;
    int rc;
    if (parse_hosts(text, len, SENTINEL_PORT, u, why) != 0)
        return -1;
    service_len = *path == '/' ? strcspn(path + 1, "/?#") : 0;
    *why = why_service;
    if (service_len == 0)
        return -1;
    u->service = percent_decode(path + 1, service_len, why);
    if (u->service == NULL)
        return -1;
    if (!service_allowed(u->service)) {
        *why = why_service;
        return -1;
    }
    path += 1 + service_len;
    db = strndup(path, (size_t)(query - path));
    if (db == NULL) {
        *why = why_memory;
        return -1;
    }
    rc = parse_db_path(db, &u->server.db, why);
    free(db);
    return rc == 0 ? parse_sentinel_query(query, u, why) : -1;
}

/* What follows the user in redis+cluster://: hosts[/db]. */
static int parse_cluster(const char *text, size_t len, struct redis_url *u, const char **why)
{
    if (parse_hosts(text, len, REDIS_PORT, u, why) != 0)
        return -1;
    return parse_rest(text + len, &u->server.db, why);
}

/* What stands before "://", and who reads the rest. */
static const struct scheme {
    const char *name;
    enum redis_kind kind;
    bool tls;
    int (*parse)(const char *text, size_t len, struct redis_url *u, const char **why);
} schemes[] = {
    {"redis", REDIS_ONE, false, parse_one},
    {"rediss", REDIS_ONE, true, parse_one},
    {"unix", REDIS_ONE, false, parse_unix},
    {"redis+sentinel", REDIS_SENTINELS, false, parse_sentinels},
    {"rediss+sentinel", REDIS_SENTINELS, true, parse_sentinels},
    {"redis+cluster", REDIS_CLUSTER, false, parse_cluster},
    {"rediss+cluster", REDIS_CLUSTER, true, parse_cluster},
};

static const struct scheme *find_scheme(const char *url)
{
    const char *end = strstr(url, "://");
    for (size_t i = 0; end != NULL && i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strlen(schemes[i].name) == (size_t)(end - url) &&
            strncasecmp(schemes[i].name, url, (size_t)(end - url)) == 0)
            return &schemes[i];
    return NULL;
}

int parse_redis_url(const char *url, struct redis_url *out, const char **why)
{
    struct redis_url u = {0};
    const struct scheme *scheme = find_scheme(url);
    if (scheme == NULL) {
        *why = why_scheme;
        return -1;
    }
    u.kind = scheme->kind;
    u.server.tls = scheme->tls;
    const char *text = url + strlen(scheme->name) + 3;
    size_t len = strcspn(text, "/?#");
    const char *at = memrchr(text, '@', len);
    if (at != NULL) {
        if (parse_userinfo(text, (size_t)(at - text), &u.server, why) != 0)
            goto fail;
        len -= (size_t)(at + 1 - text);
        text = at + 1;
    }
    if (scheme->parse(text, len, &u, why) != 0)
        goto fail;
    *out = u;
    return 0;

fail:
    redis_url_clear(&u);
    return -1;
}
