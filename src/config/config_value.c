/* One value of a setting: found in the environment, checked, and put into struct config. */
#include "config/config_table.h"

#include "link/pg_link.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PREFIX_MAX 64
#define NAME_MAX_BYTES 64
#define TOKEN_MIN 16

/* A value on its way into *c: the arguments of setting_apply. */
struct value {
    struct config *c;
    const struct setting *s;
    const char *source;
    const char *text;
    const struct config_error *error;
};

static void *field(const struct value *v)
{
    return (char *)v->c + v->s->offset;
}

static int refuse(const struct value *v, const char *allowed)
{
    if (v->s->secret)
        return config_fail(v->error, "%s: this value is not allowed: %s", v->source, allowed);
    return config_fail(v->error, "%s: \"%.100s\" is not allowed: %s", v->source, v->text, allowed);
}

/* By what the table says of the setting; hint: what comes before it, "" or ending in "; ". */
static int refuse_with(const struct value *v, const char *hint)
{
    char allowed[320];
    size_t len = strlen(hint);
    assert(len < sizeof(allowed));
    memcpy(allowed, hint, len + 1);
    setting_allowed(v->s, allowed + len, sizeof(allowed) - len);
    return refuse(v, allowed);
}

static int copy_text(const struct value *v)
{
    char *copy = strdup(v->text);
    if (copy == NULL)
        return config_fail(v->error, "%s: memory ran out", v->source);
    *(char **)field(v) = copy;
    return 0;
}

const char *config_getenv(const char *name)
{
    const char *text = name == NULL ? NULL : getenv(name);
    return text == NULL || *text == '\0' ? NULL : text;
}

const char *config_text_fault(const char *text, bool blanks_allowed)
{
    size_t len = strlen(text);
    if (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        return "it ends with a newline";
    for (; *text != '\0'; text++)
        if (iscntrl((unsigned char)*text) && !(blanks_allowed && isspace((unsigned char)*text)))
            return "it holds a control character";
    return NULL;
}

static bool is_off(const struct value *v)
{
    return v->s->off_allowed && strcasecmp(v->text, "off") == 0;
}

static int apply_int(const struct value *v)
{
    int64_t min;
    int64_t max;
    int64_t number;
    if (is_off(v)) {
        *(int *)field(v) = -1;
        return 0;
    }
    if (parse_int(v->s->min, INT32_MIN, INT32_MAX, &min) != 0 ||
        parse_int(v->s->max, INT32_MIN, INT32_MAX, &max) != 0 ||
        parse_int(v->text, min, max, &number) != 0)
        return refuse_with(v, "");
    *(int *)field(v) = (int)number;
    return 0;
}

static int apply_duration(const struct value *v)
{
    int64_t min_us;
    int64_t max_us;
    int64_t us;
    if (is_off(v)) {
        *(int64_t *)field(v) = 0;
        return 0;
    }
    if (parse_duration_us(v->s->min, &min_us) != 0 || parse_duration_us(v->s->max, &max_us) != 0 ||
        parse_duration_us(v->text, &us) != 0 || us < min_us || us > max_us)
        return refuse_with(v, parse_lacks_unit(v->text) ? UNIT_MISSING : "");
    *(int64_t *)field(v) = us;
    return 0;
}

/* The ORM's parameter that a URI carries, or NULL. Such a URI is the most likely one to be handed
 * over unchanged by an API, and libpq refuses it. */
static const char *orm_parameter(const char *uri)
{
    static const char *const names[] = {
        "schema",      "pgbouncer", "connection_limit", "pool_timeout",         "socket_timeout",
        "sslidentity", "sslaccept", "pool_size",        "statement_cache_size",
    };
    const char *p = strchr(uri, '?');
    while (p != NULL) {
        p++;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            if (strcspn(p, "=&") == strlen(names[i]) && strncmp(p, names[i], strlen(names[i])) == 0)
                return names[i];
        p = strchr(p, '&');
    }
    return NULL;
}

static int apply_conninfo(const struct value *v)
{
    const char *variable;
    char reason[320];
    if (pg_conninfo_check(v->text, &variable, reason, sizeof(reason)) != 0) {
        if (variable != NULL)
            return config_fail(v->error, "%s: %s", variable, reason);

        const char *orm = orm_parameter(v->text);
        if (orm != NULL)
            (void)snprintf(reason, sizeof(reason),
                           "its parameter \"%s\" is an ORM's own, which libpq does not know: leave "
                           "it out",
                           orm);
        return refuse(v, reason);
    }
    return copy_text(v);
}

static int apply_redis(const struct value *v)
{
    struct redis_url url;
    const char *why;
    if (parse_redis_url(v->text, &url, &why) != 0)
        return refuse(v, why);
    *(struct redis_url *)field(v) = url;
    return 0;
}

static int apply_listen(const struct value *v)
{
    if (*v->text == '\0')
        return 0;
    if (parse_listen(v->text, &v->c->http_host, &v->c->http_port) != 0)
        return refuse_with(v, "");
    return 0;
}

static int apply_prefix(const struct value *v)
{
    if (strlen(v->text) > PREFIX_MAX || strpbrk(v->text, "{}") != NULL)
        return refuse_with(v, "");
    return copy_text(v);
}

static int apply_name(const struct value *v)
{
    if (strlen(v->text) > NAME_MAX_BYTES)
        return refuse_with(v, "");
    return copy_text(v);
}

static int apply_token(const struct value *v)
{
    if (strlen(v->text) < TOKEN_MIN || strchr(v->text, ' ') != NULL)
        return refuse_with(v, "");
    return copy_text(v);
}

static int apply_file(const struct value *v)
{
    if (access(v->text, R_OK) != 0)
        return config_fail(v->error, "%s: \"%.100s\" is not allowed: a file that can be read (%s)",
                           v->source, v->text, strerror(errno));
    return copy_text(v);
}

static int apply_level(const struct value *v)
{
    int level = log_level_parse(v->text);
    if (level < 0)
        return refuse_with(v, "");
    *(enum log_level *)field(v) = (enum log_level)level;
    return 0;
}

/* Which of the words the value is; -1: none. */
static int word(const struct value *v, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (strcasecmp(v->text, words[i]) == 0)
            return i;
    return -1;
}

static int apply_format(const struct value *v)
{
    static const char *const names[] = {
        [LOG_FORMAT_AUTO] = "auto",
        [LOG_FORMAT_JSON] = "json",
        [LOG_FORMAT_TEXT] = "text",
    };
    int format = word(v, names, sizeof(names) / sizeof(names[0]));
    if (format < 0)
        return refuse_with(v, "");
    *(enum log_format *)field(v) = (enum log_format)format;
    return 0;
}

static int apply_prepare(const struct value *v)
{
    static const char *const names[] = {
        [PG_PREPARE_AUTO] = "auto",
        [PG_PREPARE_ON] = "on",
        [PG_PREPARE_OFF] = "off",
    };
    int prepare = word(v, names, sizeof(names) / sizeof(names[0]));
    if (prepare < 0)
        return refuse_with(v, "");
    *(enum pg_prepare *)field(v) = (enum pg_prepare)prepare;
    return 0;
}

static int apply_switch(const struct value *v)
{
    static const char *const names[] = {"off", "on"};
    int on = word(v, names, 2);
    if (on < 0)
        return refuse_with(v, "");
    *(bool *)field(v) = on == 1;
    return 0;
}

int setting_apply(struct config *c, const struct setting *s, const char *source, const char *text,
                  const struct config_error *error)
{
    static int (*const apply[])(const struct value *) = {
        [SETTING_INT] = apply_int,           [SETTING_DURATION] = apply_duration,
        [SETTING_CONNINFO] = apply_conninfo, [SETTING_REDIS] = apply_redis,
        [SETTING_LISTEN] = apply_listen,     [SETTING_PREFIX] = apply_prefix,
        [SETTING_NAME] = apply_name,         [SETTING_TOKEN] = apply_token,
        [SETTING_FILE] = apply_file,         [SETTING_LEVEL] = apply_level,
        [SETTING_FORMAT] = apply_format,     [SETTING_PREPARE] = apply_prepare,
        [SETTING_SWITCH] = apply_switch,
    };
    struct value v = {c, s, source, text, error};
    const char *fault =
        config_text_fault(text, s->type == SETTING_CONNINFO && strstr(text, "://") == NULL);
    return fault != NULL ? refuse(&v, fault) : apply[s->type](&v);
}
