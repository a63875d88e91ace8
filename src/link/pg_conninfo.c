/* Connection strings, without connecting. libpq's own messages about a bad one quote parts of it,
 * which may be parts of a password (also when a character in it was not escaped): so they are
 * translated, and only names that cannot be a secret are repeated. */
#include "link/pg_conninfo_private.h"
#include "link/pg_link.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct translation {
    const char *begins; /* of libpq's message */
    const char *text;
};

static const struct translation translations[] = {
    {"missing \"=\" after", "a word without \"=\" (a URL begins with postgresql://; a value with "
                            "blanks needs single quotes)"},
    {"unterminated quoted string", "a single quote that is not closed"},
    {"end of string reached when looking for matching", "an IPv6 address without its \"]\""},
    {"IPv6 host address may not be empty", "an empty IPv6 address"},
    {"unexpected character", "after an IPv6 address only \":\" or \"/\" may follow"},
    {"extra key/value separator", "a parameter with more than one \"=\""},
    {"missing key/value separator", "a parameter without \"=\""},
    {"invalid percent-encoded token", "a \"%\" without two hexadecimal digits (" PG_URI_HINT ")"},
    {"forbidden value %00", "\"%00\" is not allowed"},
    {"unexpected spaces", "a blank (" PG_URI_HINT ")"},
    {"out of memory", "out of memory"},
};

/* The name in `message` between its first quotes, if it may be shown. */
static bool unknown_name(const char *conninfo, const char *message, char *name, size_t size)
{
    const char *begin = strchr(message, '"');
    size_t len;
    if (begin == NULL)
        return false;
    begin++;
    len = strspn(begin, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (begin[len] != '"' || len == 0 || len >= size)
        return false;
    memcpy(name, begin, len);
    name[len] = '\0';
    return pg_conninfo_may_show(conninfo, name);
}

static void translate(const char *conninfo, const char *message, char *error, size_t size)
{
    char name[64];
    if (strncmp(message, "invalid URI query parameter", 27) == 0 ||
        strncmp(message, "invalid connection option", 25) == 0) {
        if (unknown_name(conninfo, message, name, sizeof(name)))
            (void)snprintf(error, size, "libpq knows no parameter \"%s\": remove it", name);
        else
            (void)snprintf(error, size, "a parameter that libpq does not know");
        return;
    }
    if (strstr(conninfo, "://") != NULL && pg_conninfo_uri_rest(conninfo) == NULL) {
        (void)snprintf(error, size, "a URI must begin with postgresql:// or postgres://");
        return;
    }
    for (size_t i = 0; i < sizeof(translations) / sizeof(translations[0]); i++) {
        if (strncmp(message, translations[i].begins, strlen(translations[i].begins)) == 0) {
            (void)snprintf(error, size, "%s", translations[i].text);
            return;
        }
    }
    (void)snprintf(error, size, "neither a URI nor key=value pairs as libpq reads them");
}

int pg_conninfo_check(const char *conninfo, const char **variable, char *error, size_t error_size)
{
    char *message = NULL;
    PQconninfoOption *options;
    const char *rest = pg_conninfo_uri_rest(conninfo);
    int status;
    *variable = NULL;
    if (rest != NULL && pg_conninfo_password_leaks(rest)) {
        (void)snprintf(error, error_size, "%s",
                       "more than one \"@\", or a \"/\" before it: " PG_URI_HINT);
        return -1;
    }
    options = PQconninfoParse(conninfo, &message);
    if (options == NULL) {
        translate(conninfo, message != NULL ? message : "out of memory", error, error_size);
        PQfreemem(message);
        return -1;
    }
    status = pg_conninfo_judge(conninfo, options, variable, error, error_size);
    PQconninfoFree(options);
    return status;
}

static void append_fields(FILE *out, const PQconninfoOption *options,
                          const PQconninfoOption *defaults)
{
    static const char *const keywords[] = {"service", "host", "port", "dbname", "user"};
    const char *separator = "";
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        const char *value = pg_conninfo_value(options, keywords[i]);
        if (value == NULL && strcmp(keywords[i], "host") == 0)
            value = pg_conninfo_value(options, "hostaddr");
        /* A service's file may say otherwise, and is read at the connect only. */
        if (value == NULL && pg_conninfo_value(options, "service") == NULL)
            value = pg_conninfo_value(defaults, keywords[i]);
        if (value == NULL)
            continue;
        (void)fprintf(out, "%s%s=%s", separator, keywords[i], value);
        separator = " ";
    }
}

char *pg_conninfo_describe(const char *conninfo)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    PQconninfoOption *defaults;
    char *text = NULL;
    size_t len = 0;
    FILE *out;
    if (options == NULL)
        return strdup("an unusable connection string");
    defaults = PQconndefaults();
    out = open_memstream(&text, &len);
    if (out != NULL) {
        append_fields(out, options, defaults);
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    PQconninfoFree(options);
    PQconninfoFree(defaults);
    return text;
}

const char *pg_link_library_version(void)
{
    static char text[32];
    int version = PQlibVersion();
    (void)snprintf(text, sizeof(text), "%d.%d", version / 10000, version % 10000);
    return text;
}
