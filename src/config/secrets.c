/* The secrets that are in use, and their files. */
#include "config/secrets.h"

#include "base/callback.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config_table.h"

#include <stdlib.h>
#include <string.h>

#define SAID_AGAIN_US (300 * SECOND_US)

struct secret_file {
    char *text;       /* what it contained, in use now */
    char *fault;      /* why it is not usable, as it was said; NULL: it is usable */
    int64_t fault_us; /* when that was said */
    bool changed;     /* since the last reload began */
};

struct secrets {
    const struct config *config;
    struct config now; /* nothing but the secrets' values */
    struct secret_file files[CONFIG_SECRETS_N];
    event_cb *on_change;
    void *arg;
};

static char *copy(const char *text)
{
    return text == NULL ? NULL : strdup(text);
}

struct secrets *secrets_new(const struct config *config, event_cb *on_change, void *arg)
{
    struct secrets *s = calloc(1, sizeof(*s));
    bool whole = true;
    if (s == NULL)
        return NULL;
    s->config = config;
    s->on_change = on_change;
    s->arg = arg;
    s->now.conninfo = copy(config->conninfo);
    s->now.admin_token = copy(config->admin_token);
    s->now.read_token = copy(config->read_token);
    for (int i = 0; i < CONFIG_SECRETS_N; i++) {
        s->files[i].text = copy(config->files[i].text);
        whole = whole && (s->files[i].text != NULL || config->files[i].text == NULL);
    }
    if (whole && (s->now.conninfo != NULL || config->conninfo == NULL) &&
        (s->now.admin_token != NULL || config->admin_token == NULL) &&
        (s->now.read_token != NULL || config->read_token == NULL) &&
        redis_url_copy(&s->now.redis, &config->redis) == 0)
        return s;
    secrets_free(s);
    return NULL;
}

void secrets_free(struct secrets *s)
{
    if (s == NULL)
        return;
    for (int i = 0; i < CONFIG_SECRETS_N; i++) {
        free(s->files[i].text);
        free(s->files[i].fault);
    }
    config_clear(&s->now);
    free(s);
}

static void swap_texts(char **a, char **b)
{
    char *kept = *a;
    *a = *b;
    *b = kept;
}

/* Puts a new value in place of the one in use. Returns 0 or -1; on_change is the caller's. */
static int take(struct secrets *s, enum config_secret which, const char *text,
                const struct config_error *error)
{
    struct config fresh = {0};
    struct redis_url former = s->now.redis;
    if (setting_apply(&fresh, secret_settings[which], s->config->files[which].variable, text,
                      error) != 0)
        return -1;
    switch (which) {
    case CONFIG_POSTGRES:
        swap_texts(&s->now.conninfo, &fresh.conninfo);
        break;
    case CONFIG_REDIS:
        s->now.redis = fresh.redis;
        fresh.redis = former;
        break;
    case CONFIG_ADMIN_TOKEN:
        swap_texts(&s->now.admin_token, &fresh.admin_token);
        break;
    default:
        swap_texts(&s->now.read_token, &fresh.read_token);
        break;
    }
    config_clear(&fresh);
    return 0;
}

/* level: what the record is. An attempt to connect comes several times a second: it is said when it
 * is new, and now and then. */
static void say_fault(struct secret_file *file, enum log_level level, const char *fault)
{
    int64_t now_us = clock_mono_us();
    if (level == LOG_WARN && file->fault != NULL && strcmp(file->fault, fault) == 0 &&
        now_us - file->fault_us < SAID_AGAIN_US)
        return;
    log_event(level, "A secret's file cannot be used; what it held before stays in use", LOG_STR,
              "error", fault, LOG_END);
    free(file->fault);
    file->fault = strdup(fault);
    file->fault_us = now_us;
}

static void say_changed(const struct secrets *s, enum config_secret which)
{
    char *place = which == CONFIG_POSTGRES ? secrets_describe_postgres(s)
                  : which == CONFIG_REDIS  ? secrets_describe_redis(s)
                                           : NULL;
    if (place != NULL)
        log_event(LOG_INFO, "A secret's file has changed: its new value is used from now on",
                  LOG_STR, "variable", s->config->files[which].variable, LOG_STR,
                  which == CONFIG_POSTGRES ? "postgres" : "redis", place, LOG_END);
    else
        log_event(LOG_INFO, "A secret's file has changed: its new value is used from now on",
                  LOG_STR, "variable", s->config->files[which].variable, LOG_END);
    free(place);
}

static void say_usable(struct secret_file *file, const char *variable)
{
    if (file->fault == NULL)
        return;
    log_event(LOG_INFO, "A secret's file can be used again", LOG_STR, "variable", variable,
              LOG_END);
    free(file->fault);
    file->fault = NULL;
}

static void read_file(struct secrets *s, enum config_secret which, enum log_level fault_level)
{
    const char *path = s->config->files[which].path;
    const char *variable = s->config->files[which].variable;
    struct secret_file *file = &s->files[which];
    char fault[512];
    const struct config_error error = {fault, sizeof(fault)};
    char *text = NULL;
    if (path == NULL)
        return;
    if (config_file_read(variable, path, true, &text, &error) != 0) {
        say_fault(file, fault_level, fault);
        return;
    }
    if (text == NULL) /* a pipe */
        return;
    if (strcmp(text, file->text) == 0) {
        say_usable(file, variable);
    } else if (take(s, which, text, &error) != 0) {
        say_fault(file, fault_level, fault);
    } else {
        swap_texts(&file->text, &text);
        say_usable(file, variable);
        say_changed(s, which);
        file->changed = true;
        if (which == CONFIG_POSTGRES || which == CONFIG_REDIS)
            s->on_change(s->arg);
    }
    free(text);
}

/* What is said of it is of no queue, whichever has asked. */
static void read_anew(struct secrets *s, enum config_secret which, enum log_level fault_level)
{
    const char *queue = log_set_queue(NULL);
    read_file(s, which, fault_level);
    (void)log_set_queue(queue);
}

const char *secrets_conninfo(void *arg)
{
    struct secrets *s = arg;
    read_anew(s, CONFIG_POSTGRES, LOG_WARN);
    return s->now.conninfo;
}

const struct redis_url *secrets_redis(void *arg)
{
    struct secrets *s = arg;
    read_anew(s, CONFIG_REDIS, LOG_WARN);
    return &s->now.redis;
}

const char *secrets_admin_token(struct secrets *s)
{
    read_anew(s, CONFIG_ADMIN_TOKEN, LOG_WARN);
    return s->now.admin_token;
}

const char *secrets_read_token(struct secrets *s)
{
    read_anew(s, CONFIG_READ_TOKEN, LOG_WARN);
    return s->now.read_token;
}

static void reload(struct secrets *s, enum config_secret which)
{
    s->files[which].changed = false;
    read_anew(s, which, LOG_ERROR);
}

void secrets_reload(struct secrets *s)
{
    for (int i = 0; i < CONFIG_SECRETS_N; i++)
        reload(s, (enum config_secret)i);
}

void secrets_reload_postgres(struct secrets *s)
{
    reload(s, CONFIG_POSTGRES);
}

const char *secrets_changed(const struct secrets *s, enum config_secret which)
{
    return s->files[which].changed ? s->config->files[which].variable : NULL;
}

char *secrets_describe_postgres(const struct secrets *s)
{
    return config_describe_postgres(&s->now);
}

char *secrets_describe_redis(const struct secrets *s)
{
    return config_describe_redis(&s->now);
}
