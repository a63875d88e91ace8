/* The servers' addresses in parts (DB_HOST, REDIS_HOST and so on), as an API beside the sweeper
 * may set them. */
#include "config/config_table.h"

#include "link/pg_link.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REDIS_HOST_DEFAULT "127.0.0.1"
#define REDIS_PORT_DEFAULT 6379

static int check_text(const char *variable, const struct config_error *error)
{
    const char *text = config_getenv(variable);
    const char *fault = text == NULL ? NULL : config_text_fault(text, false);

    return fault == NULL ? 0
                         : config_fail(error, "%s: this value is not allowed: %s", variable, fault);
}

/* Reads a whole number from a variable, if it is set. */
static int read_number(const char *variable, int64_t min, int64_t max, int *out,
                       const struct config_error *error)
{
    const char *text = config_getenv(variable);
    int64_t number;

    if (text == NULL)
        return 0;
    if (parse_int(text, min, max, &number) != 0)
        return config_fail(error, "%s: \"%.100s\" is not allowed: a whole number from %lld to %lld",
                           variable, text, (long long)min, (long long)max);
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
    static const struct {
        const char *variable;
        const char *keyword;
    } parts[] = {
        {"DB_HOST", "host"}, {"DB_PORT", "port"},         {"DB_NAME", "dbname"},
        {"DB_USER", "user"}, {"DB_PASSWORD", "password"},
    };
    char *conninfo = NULL;
    size_t size = 0;
    const char *variable;
    char reason[320];
    int port;

    *found = false;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (check_text(parts[i].variable, error) != 0)
            return -1;
    if (read_number("DB_PORT", 1, 65535, &port, error) != 0)
        return -1;

    FILE *out = open_memstream(&conninfo, &size);

    if (out == NULL)
        return config_fail(error, "DB_HOST: memory ran out");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const char *value = config_getenv(parts[i].variable);

        if (value != NULL) {
            put_keyword(out, parts[i].keyword, value);
            *found = true;
        }
    }
    if (fclose(out) != 0 || !*found) {
        free(conninfo);
        return *found ? config_fail(error, "DB_HOST: memory ran out") : 0;
    }
    if (pg_conninfo_check(conninfo, &variable, reason, sizeof reason) != 0) {
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
    struct redis_address address = {0};
    const char *why;
    char url[300];

    if (host == NULL)
        host = REDIS_HOST_DEFAULT;

    int n =
        snprintf(url, sizeof url, strchr(host, ':') == NULL ? "redis://%s" : "redis://[%s]", host);

    if (n < 0 || (size_t)n >= sizeof url || parse_redis_url(url, &address, &why) != 0 ||
        strcmp(address.host, host) != 0) {
        redis_address_clear(&address);
        return config_fail(error, "REDIS_HOST: \"%.100s\" is not allowed: a host name or address",
                           strpbrk(host, "@/") == NULL ? host : "...");
    }
    c->redis.host = address.host;
    address.host = NULL;
    redis_address_clear(&address);
    return 0;
}

int config_read_redis_parts(struct config *c, bool *found, const struct config_error *error)
{
    static const char *const parts[] = {"REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD", "REDIS_DB"};
    const char *password = config_getenv("REDIS_PASSWORD");

    *found = config_getenv("REDIS_HOST") != NULL || config_getenv("REDIS_PORT") != NULL ||
             config_getenv("REDIS_DB") != NULL || password != NULL;
    if (!*found)
        return 0;
    c->redis.port = REDIS_PORT_DEFAULT;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (check_text(parts[i], error) != 0)
            return -1;
    if (read_redis_host(c, error) != 0 ||
        read_number("REDIS_PORT", 1, 65535, &c->redis.port, error) != 0 ||
        read_number("REDIS_DB", 0, INT_MAX, &c->redis.db, error) != 0)
        return -1;
    if (password != NULL) {
        c->redis.password = strdup(password);
        if (c->redis.password == NULL)
            return config_fail(error, "REDIS_PASSWORD: memory ran out");
    }
    return 0;
}
