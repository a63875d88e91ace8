/* The parser of Redis URLs. */
#include "base/parse.h"

#include "base/host.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define REDIS_PORT_DEFAULT 6379

static const char why_scheme[] =
    "it begins with redis://, rediss:// (TLS) or unix:// (a socket's path)";
static const char why_memory[] = "memory ran out";
static const char why_user[] = "user and password are written user:password@ or :password@";
static const char why_percent[] =
    "in user, password and path, % is followed by two hexadecimal digits, not 00";
static const char why_host[] = "after redis:// follows host, host:port or [IPv6]:port, with a port "
                               "from 1 to 65535; / @ : ? # and % in a password are written as "
                               "%2F %40 %3A %3F %23 %25";
static const char why_db[] = "the database is a whole number from 0";
static const char why_query[] = "no parameters are known after ?, but db=N with unix://";
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

/* What follows the user in redis:// and rediss://: len bytes of host and port, then [/db]. */
static int parse_tcp(const char *text, size_t len, struct redis_address *a, const char **why)
{
    const char *rest = text + len;
    a->port = REDIS_PORT_DEFAULT;
    if (len == 0 || host_port_parse(text, len, &a->host, &a->port) != 0 || *a->host == '\0') {
        *why = why_host;
        return -1;
    }
    if (strpbrk(rest, "?#") != NULL) {
        *why = why_query;
        return -1;
    }
    if (*rest == '\0' || rest[1] == '\0')
        return 0;
    return parse_db(rest + 1, &a->db, why);
}

/* What follows the user in unix://: len bytes of host, of which there must be none, then
 * /path[?db=N]. */
static int parse_unix(const char *text, size_t len, struct redis_address *a, const char **why)
{
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

int parse_redis_url(const char *url, struct redis_address *out, const char **why)
{
    struct redis_address a = {0};
    const char *text = strstr(url, "://");
    size_t scheme_len = text == NULL ? 0 : (size_t)(text - url);
    bool tls = scheme_len == 6 && strncasecmp(url, "rediss", 6) == 0;
    bool tcp = tls || (scheme_len == 5 && strncasecmp(url, "redis", 5) == 0);
    if (!tcp && (scheme_len != 4 || strncasecmp(url, "unix", 4) != 0)) {
        *why = why_scheme;
        return -1;
    }
    text += 3;
    a.tls = tls;

    size_t len = strcspn(text, "/?#");
    const char *at = memrchr(text, '@', len);
    if (at != NULL) {
        if (parse_userinfo(text, (size_t)(at - text), &a, why) != 0)
            goto fail;
        len -= (size_t)(at + 1 - text);
        text = at + 1;
    }
    if ((tcp ? parse_tcp(text, len, &a, why) : parse_unix(text, len, &a, why)) != 0)
        goto fail;
    *out = a;
    return 0;

fail:
    redis_address_clear(&a);
    return -1;
}

void redis_address_clear(struct redis_address *a)
{
    free(a->host);
    free(a->path);
    free(a->user);
    free(a->password);
    *a = (struct redis_address){0};
}

static bool copy_text(char **out, const char *text)
{
    *out = text == NULL ? NULL : strdup(text);
    return text == NULL || *out != NULL;
}

int redis_address_copy(struct redis_address *out, const struct redis_address *from)
{
    *out = (struct redis_address){.port = from->port, .db = from->db, .tls = from->tls};
    if (copy_text(&out->host, from->host) && copy_text(&out->path, from->path) &&
        copy_text(&out->user, from->user) && copy_text(&out->password, from->password))
        return 0;
    redis_address_clear(out);
    return -1;
}
