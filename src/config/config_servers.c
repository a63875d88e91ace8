/* The servers' addresses in parts (DB_HOST, REDIS_HOST and so on), as an API beside the sweeper
 * may set them. */
#include "config/config_table.h"

#include "link/pg_link.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD };

const struct address_part database_parts[DATABASE_PARTS_N] = {
    [DB_HOST] = {"DB_HOST", "host", NULL, "host name, address or folder of the socket", 0, 0},
    [DB_PORT] = {"DB_PORT", "port", NULL, "port", 1, 65535},
    [DB_NAME] = {"DB_NAME", "dbname", NULL, "database", 0, 0},
    [DB_USER] = {"DB_USER", "user", NULL, "role", 0, 0},
    [DB_PASSWORD] = {"DB_PASSWORD", "password", NULL, "password", 0, 0},
};

enum { REDIS_HOST, REDIS_PORT, REDIS_PASSWORD, REDIS_DB };

const struct address_part redis_parts[REDIS_PARTS_N] = {
    [REDIS_HOST] = {"REDIS_HOST", NULL, "127.0.0.1", "host name or address", 0, 0},
    [REDIS_PORT] = {"REDIS_PORT", NULL, "6379", "port", 1, 65535},
    [REDIS_PASSWORD] = {"REDIS_PASSWORD", NULL, "none", "password", 0, 0},
    [REDIS_DB] = {"REDIS_DB", NULL, "0", "number of the database", 0, INT_MAX},
};

static int check_text(const char *variable, const struct config_error *error)
{
    const char *text = config_getenv(variable);
    const char *fault = text == NULL ? NULL : config_text_fault(text, false);
    return fault == NULL ? 0
                         : config_fail(error, "%s: this value is not allowed: %s", variable, fault);
}

/* Whether any of the parts is set; *rc: 0, or -1 when the text of one is nobody's value. */
static bool any_set(const struct address_part *parts, size_t n, const struct config_error *error,
                    int *rc)
{
    bool found = false;
    *rc = 0;
    for (size_t i = 0; i < n && *rc == 0; i++) {
        found = found || config_getenv(parts[i].variable) != NULL;
        *rc = check_text(parts[i].variable, error);
    }
    return found;
}

/* Reads a whole number from a part's variable, or its default; without either *out stays. */
static int read_number(const struct address_part *part, int *out, const struct config_error *error)
{
    const char *text = config_getenv(part->variable);
    int64_t number;
    assert(part->min < part->max);
    if (text == NULL)
        text = part->preset;
    if (text == NULL)
        return 0;
    if (parse_int(text, part->min, part->max, &number) != 0)
        return config_fail(error, "%s: \"%.100s\" is not allowed: a whole number from %d to %d",
                           part->variable, text, part->min, part->max);
    *out = (int)number;
    return 0;
}

/* keyword='value' by libpq's rules: ' and \ are escaped. */
static void put_keyword(FILE *out, const char *keyword, const char *value)
{
    fprintf(out, "%s%s='", ftell(out) > 0 ? " " : "", keyword);
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            fputc('\\', out);
        fputc(*value, out);
    }
    fputc('\'', out);
}

int config_read_database_parts(struct config *c, bool *found, const struct config_error *error)
{
    char *conninfo = NULL;
    size_t size = 0;
    const char *variable;
    char reason[320];
    int port;
    int rc;
    *found = any_set(database_parts, DATABASE_PARTS_N, error, &rc);
    if (!*found || rc != 0)
        return rc;
    if (read_number(&database_parts[DB_PORT], &port, error) != 0)
        return -1;

    FILE *out = open_memstream(&conninfo, &size);
    if (out == NULL)
        return config_fail(error, "DB_HOST: memory ran out");
    for (size_t i = 0; i < DATABASE_PARTS_N; i++) {
        const char *value = config_getenv(database_parts[i].variable);
        if (value != NULL)
            put_keyword(out, database_parts[i].keyword, value);
    }
    if (fclose(out) != 0) {
        free(conninfo);
        return config_fail(error, "DB_HOST: memory ran out");
    }
    if (pg_conninfo_check(conninfo, &variable, reason, sizeof(reason)) != 0) {
        free(conninfo);
        if (variable != NULL)
            return config_fail(error, "%s: %s", variable, reason);
        return config_fail(error,
                           "DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD: not "
                           "allowed together: %s",
                           reason);
    }
    c->conninfo = conninfo;
    return 0;
}

/* A host alone, by the rules for one within a URL. */
static int read_redis_host(struct config *c, const struct config_error *error)
{
    const char *host = config_getenv("REDIS_HOST");
    struct redis_url parsed = {0};
    const char *why;
    char url[300];
    if (host == NULL)
        host = redis_parts[REDIS_HOST].preset;

    int n =
        snprintf(url, sizeof(url), strchr(host, ':') == NULL ? "redis://%s" : "redis://[%s]", host);
    if (n < 0 || (size_t)n >= sizeof(url) || parse_redis_url(url, &parsed, &why) != 0 ||
        strcmp(parsed.server.host, host) != 0) {
        redis_url_clear(&parsed);
        return config_fail(error, "REDIS_HOST: \"%.100s\" is not allowed: a host name or address",
                           strpbrk(host, "@/") == NULL ? host : "...");
    }
    c->redis.server.host = parsed.server.host;
    parsed.server.host = NULL;
    redis_url_clear(&parsed);
    return 0;
}

int config_read_redis_parts(struct config *c, bool *found, const struct config_error *error)
{
    const char *password = config_getenv("REDIS_PASSWORD");
    int rc;
    *found = any_set(redis_parts, REDIS_PARTS_N, error, &rc);
    if (!*found || rc != 0)
        return rc;
    if (read_redis_host(c, error) != 0 ||
        read_number(&redis_parts[REDIS_PORT], &c->redis.server.port, error) != 0 ||
        read_number(&redis_parts[REDIS_DB], &c->redis.server.db, error) != 0)
        return -1;
    if (password != NULL) {
        c->redis.server.password = strdup(password);
        if (c->redis.server.password == NULL)
            return config_fail(error, "REDIS_PASSWORD: memory ran out");
    }
    return 0;
}
