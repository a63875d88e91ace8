/* What libpq makes of a connection string together with the environment, the service's file and its
 * own defaults, and whether it would refuse that for ever. It says so only when it connects, so an
 * attempt is begun that cannot leave this process: each host has an address that is none. */
#include "link/pg_conninfo_private.h"

#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define NOWHERE "-"
#define NO_MODE "-"

/* libpq reads these with the first host's socket only. */
static const char *const numbers[] = {
    "connect_timeout",     "keepalives",       "keepalives_idle",
    "keepalives_interval", "keepalives_count", "tcp_user_timeout",
};

/* And these before any host. */
struct words {
    const char *keyword;
    const char *allowed;
};

static const struct words words[] = {
    {"sslmode", "disable, allow, prefer, require, verify-ca or verify-full"},
    {"sslnegotiation", "postgres or direct"},
    {"sslcertmode", "disable, allow or require"},
    {"ssl_min_protocol_version", "TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3"},
    {"ssl_max_protocol_version", "TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3"},
    {"gssencmode", "disable, prefer or require"},
    {"channel_binding", "disable, prefer or require"},
    {"target_session_attrs", "any, read-write, read-only, primary, standby or prefer-standby"},
    {"load_balance_hosts", "disable or random"},
};

const char *pg_conninfo_value(const PQconninfoOption *options, const char *keyword)
{
    for (; options != NULL && options->keyword != NULL; options++) {
        if (strcmp(options->keyword, keyword) == 0)
            return options->val != NULL && options->val[0] != '\0' ? options->val : NULL;
    }
    return NULL;
}

/* Begins an attempt with one option that the string cannot override. */
static PGconn *begin(const char *conninfo, const char *keyword, const char *value)
{
    const char *const keywords[] = {"dbname", keyword, NULL};
    const char *const values[] = {conninfo, value, NULL};
    return PQconnectStartParams(keywords, values, 1);
}

PQconninfoOption *pg_conninfo_effective(const char *conninfo)
{
    /* libpq looks at the mode before it looks at any host. */
    PGconn *conn = begin(conninfo, "sslmode", NO_MODE);
    PQconninfoOption *options = PQconninfo(conn);
    PQfinish(conn);
    return options;
}

size_t pg_conninfo_hosts(const PQconninfoOption *options)
{
    const char *hosts = pg_conninfo_value(options, "hostaddr");
    size_t n = 1;
    if (hosts == NULL)
        hosts = pg_conninfo_value(options, "host");
    for (; hosts != NULL && *hosts != '\0'; hosts++)
        n += *hosts == ',';
    return n;
}

/* An attempt that gets no further than to the hosts' addresses, of which none is one: no name is
 * asked for, nothing is sent. NULL: out of memory. */
static PGconn *begin_nowhere(const char *conninfo, const PQconninfoOption *options)
{
    size_t n = pg_conninfo_hosts(options);
    char *addresses = malloc(n * 2);
    PGconn *conn;
    if (addresses == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        addresses[2 * i] = NOWHERE[0];
        addresses[2 * i + 1] = i + 1 < n ? ',' : '\0';
    }
    conn = begin(conninfo, "hostaddr", addresses);
    free(addresses);
    return conn;
}

/* Whose fault it is: the string, or a variable of libpq's that it does not override. */
struct judged {
    const char *conninfo;
    const PQconninfoOption *given;
    const PQconninfoOption *effective;
    const char **variable;
    char *error;
    size_t error_size;
};

/* The variable that an option's value came from; NULL: not from the environment. */
static const char *variable_of(const struct judged *b, const char *keyword)
{
    for (const PQconninfoOption *o = b->effective; o != NULL && o->keyword != NULL; o++) {
        if (strcmp(o->keyword, keyword) == 0 && o->envvar != NULL && getenv(o->envvar) != NULL &&
            pg_conninfo_value(b->given, keyword) == NULL)
            return o->envvar;
    }
    return NULL;
}

static bool is_word(const char *text)
{
    return *text != '\0' && strlen(text) <= 40 &&
           text[strspn(
               text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")] == '\0';
}

/* Writes that the option's value is none of those allowed; *variable names the variable that it
 * came from. Returns -1. */
static int refuse_option(const struct judged *b, const char *keyword, const char *allowed)
{
    const char *variable = variable_of(b, keyword);
    const char *value = variable != NULL ? getenv(variable) : pg_conninfo_value(b->given, keyword);
    bool shown = value != NULL && is_word(value) &&
                 (variable != NULL || pg_conninfo_may_show(b->conninfo, keyword));
    *b->variable = variable;
    if (variable != NULL)
        (void)snprintf(b->error, b->error_size, "%s%s%sis not allowed: %s", shown ? "\"" : "",
                       shown ? value : "this value ", shown ? "\" " : "", allowed);
    else
        (void)snprintf(b->error, b->error_size, "its %s%s%s%s must be %s", keyword,
                       shown ? " \"" : "", shown ? value : "", shown ? "\"" : "", allowed);
    return -1;
}

/* A number as libpq reads it, blanks around it included. */
static bool is_number(const char *text)
{
    char *end;
    long number;
    errno = 0;
    number = strtol(text, &end, 10);
    if (end == text || errno != 0 || number < INT_MIN || number > INT_MAX)
        return false;
    while (isspace((unsigned char)*end))
        end++;
    return *end == '\0';
}

/* One port for each host, separated by commas. */
static bool ports_valid(const char *ports)
{
    for (;;) {
        size_t len = strcspn(ports, ",");
        char one[8];
        int64_t port;
        if (len >= sizeof(one))
            return false;
        memcpy(one, ports, len);
        one[len] = '\0';
        if (len > 0 && parse_int(one, 1, 65535, &port) != 0)
            return false;
        if (ports[len] == '\0')
            return true;
        ports += len + 1;
    }
}

/* In numbers, so that no name is asked for; an empty one means that the host's name counts. */
static bool addresses_valid(const char *addresses)
{
    const struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    for (size_t len = 0; addresses != NULL; addresses += len) {
        struct addrinfo *list = NULL;
        char one[128];
        addresses += *addresses == ',';
        len = strcspn(addresses, ",");
        if (len >= sizeof(one))
            return false;
        memcpy(one, addresses, len);
        one[len] = '\0';
        if (len > 0 && getaddrinfo(one, NULL, &numeric, &list) != 0)
            return false;
        if (list != NULL)
            freeaddrinfo(list);
        if (addresses[len] == '\0')
            return true;
    }
    return true;
}

static int check_numbers(const struct judged *b)
{
    const char *ports = pg_conninfo_value(b->effective, "port");
    if (ports != NULL && !ports_valid(ports))
        return refuse_option(b, "port",
                             strstr(b->conninfo, "://") != NULL
                                 ? "a number from 1 to 65535 (" PG_URI_HINT ")"
                                 : "a number from 1 to 65535");
    if (!addresses_valid(pg_conninfo_value(b->effective, "hostaddr")))
        return refuse_option(b, "hostaddr", "an address in numbers");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const char *value = pg_conninfo_value(b->effective, numbers[i]);
        if (value != NULL && !is_number(value))
            return refuse_option(b, numbers[i], "a whole number");
    }
    return 0;
}

/* A value from the environment that ends with a newline is one that no client can mean. */
static int check_variables(const struct judged *b)
{
    for (const PQconninfoOption *o = b->effective; o != NULL && o->keyword != NULL; o++) {
        const char *variable = variable_of(b, o->keyword);
        const char *value = variable != NULL ? getenv(variable) : NULL;
        size_t len = value != NULL ? strlen(value) : 0;
        if (len > 0 && value[len - 1] == '\n') {
            *b->variable = variable;
            (void)snprintf(b->error, b->error_size,
                           "this value is not allowed: it ends with a newline");
            return -1;
        }
    }
    return 0;
}

/* libpq's sentence, without what it quotes of the string. */
static int refuse_whole(const struct judged *b, const char *message)
{
    FILE *out = fmemopen(b->error, b->error_size, "w");
    if (out == NULL) {
        (void)snprintf(b->error, b->error_size, "libpq refuses it");
        return -1;
    }
    for (const char *p = message; *p != '\0' && *p != '\n';) {
        size_t len = *p == '"' ? strcspn(p + 1, "\"\n") : 0;
        char quoted[64];
        if (len > 0 && len < sizeof(quoted) && p[len + 1] == '"') {
            memcpy(quoted, p + 1, len);
            quoted[len] = '\0';
            (void)fprintf(out, "\"%s\"", strstr(b->conninfo, quoted) == NULL ? quoted : "...");
            p += len + 2;
        } else {
            (void)fputc(len > 0 ? '\'' : *p, out);
            p += len > 0 ? len + 1 : 1;
        }
    }
    (void)fputc('\0', out);
    (void)fclose(out);
    b->error[b->error_size - 1] = '\0';
    return -1;
}

/* "invalid sslmode value"; of some keywords libpq 17 has it in quotes. */
static bool names_keyword(const char *message, const char *keyword)
{
    size_t len = strlen(keyword);
    if (strncmp(message, "invalid ", 8) != 0)
        return false;
    message += 8;
    if (*message == '"') {
        message++;
        return strncmp(message, keyword, len) == 0 && strncmp(message + len, "\" value", 7) == 0;
    }
    return strncmp(message, keyword, len) == 0 && strncmp(message + len, " value", 6) == 0;
}

static int refuse_message(const struct judged *b, const char *message)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (names_keyword(message, words[i].keyword))
            return refuse_option(b, words[i].keyword, words[i].allowed);
    if (strncmp(message, "definition of service", 21) == 0)
        return refuse_option(b, "service", "one that is defined in pg_service.conf");
    return refuse_whole(b, message);
}

/* Such a connection takes no statements with parameters. Of a word the first letters are enough, as
 * the server reads it. */
static int check_replication(const struct judged *b)
{
    static const struct {
        const char *word;
        size_t least;
    } off[] = {{"false", 1}, {"no", 1}, {"off", 2}, {"0", 1}};
    const char *value = pg_conninfo_value(b->effective, "replication");
    size_t len = value != NULL ? strlen(value) : 0;
    for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
        if (len >= off[i].least && strncasecmp(value, off[i].word, len) == 0)
            return 0;
    return value == NULL ? 0 : refuse_option(b, "replication", "left out, or off");
}

int pg_conninfo_judge(const char *conninfo, const PQconninfoOption *given, const char **variable,
                      char *error, size_t error_size)
{
    PQconninfoOption *effective = pg_conninfo_effective(conninfo);
    PGconn *conn = effective != NULL ? begin_nowhere(conninfo, effective) : NULL;
    struct judged b = {conninfo, given, effective, variable, error, error_size};
    int status = 0;
    if (conn == NULL) {
        (void)snprintf(error, error_size, "out of memory");
        status = -1;
    } else if (check_variables(&b) != 0 || check_numbers(&b) != 0 || check_replication(&b) != 0) {
        status = -1;
    } else if (strstr(PQerrorMessage(conn), "\"" NOWHERE "\"") == NULL) {
        status = refuse_message(&b, PQerrorMessage(conn));
    }
    PQfinish(conn);
    PQconninfoFree(effective);
    return status;
}
