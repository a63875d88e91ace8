/* The servers of all queues. */
#include "app/servers.h"

#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "config/secrets.h"
#include "link/loop.h"
#include "store/pg_watch.h"

#include <stdlib.h>
#include <string.h>

/* Together they keep the promises: what expires goes on being released within 2 s, also when Redis
 * answers nothing though connected, and is exact again within 2 s of its return. */
#define REDIS_CONNECT_US SECOND_US
#define REDIS_COMMAND_US SECOND_US
#define REDIS_BACKOFF_MIN_US (50 * MS_US)
#define REDIS_BACKOFF_MAX_US (500 * MS_US)

/* The former text stays when memory has run out. True when it is another server. */
static bool describe_anew(char **text, char *description)
{
    if (description == NULL)
        return false;
    bool moved = *text == NULL || strcmp(*text, description) != 0;
    free(*text);
    *text = description;
    return moved;
}

/* A server that is named no more is left at once, by all connections: half here and half there
 * they would see two truths. */
static void on_database(void *arg)
{
    struct database *d = arg;
    if (!describe_anew(&d->address, secrets_describe_postgres(d->secrets)))
        return;
    d->home.moves++;
    d->home.server[0] = d->home.system[0] = '\0';
}

static void on_secrets(void *arg)
{
    struct servers *s = arg;
    const struct queue_redis *r;
    for (struct database *d = s->databases; d != NULL; d = d->next)
        if (d->secrets == s->secrets)
            on_database(d);
    if (!describe_anew(&s->redis_address, secrets_describe_redis(s->secrets)))
        return;
    LIST_FOREACH(r, &s->redis, entry)
    if (redis_link_state(r->link) == REDIS_LINK_UP)
        redis_link_reset(r->link, "the server's address has changed");
}

static struct redis_lookup redis_lookup(struct servers *s)
{
    return (struct redis_lookup){
        .loop = s->loop,
        .url = secrets_redis,
        .arg = s->secrets,
        .ca_file = s->config->redis_ca,
        .sentinels = s->sentinels,
    };
}

int servers_open(struct servers *s, const struct config *config)
{
    *s = (struct servers){.config = config, .redis_clock = {.server = "redis"}};
    LIST_INIT(&s->redis);
    s->secrets = secrets_new(config, on_secrets, s);
    if (s->secrets == NULL)
        return -1;
    on_secrets(s);
    s->loop = loop_new();
    if (s->loop == NULL)
        return -1;
    const struct redis_lookup lookup = redis_lookup(s);
    s->sentinels = redis_sentinels_new(&lookup);
    return s->sentinels != NULL && s->redis_address != NULL ? 0 : -1;
}

struct queue_redis *servers_redis_open(struct servers *s, const char *prefix,
                                       redis_state_cb *on_state, void *arg)
{
    const struct redis_lookup lookup = redis_lookup(s);
    struct queue_redis *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    LIST_INSERT_HEAD(&s->redis, r, entry);
    r->finder = redis_finder_new(&lookup, prefix);
    if (r->finder != NULL) {
        const struct redis_link_options options = {
            .source = redis_finder_source(r->finder),
            .ca_file = s->config->redis_ca,
            .connect_timeout_us = REDIS_CONNECT_US,
            .command_timeout_us = REDIS_COMMAND_US,
            .backoff_min_us = REDIS_BACKOFF_MIN_US,
            .backoff_max_us = REDIS_BACKOFF_MAX_US,
            .on_state = on_state,
            .arg = arg,
        };
        r->link = redis_link_new(s->loop, &options);
    }
    if (r->link != NULL)
        return r;
    servers_redis_close(r);
    return NULL;
}

void servers_redis_close(struct queue_redis *r)
{
    if (r == NULL)
        return;
    LIST_REMOVE(r, entry);
    redis_link_free(r->link);
    redis_finder_free(r->finder);
    free(r);
}

/* Few in the life of a process: those of the queues files that there have been. */
struct log_name {
    struct log_name *next;
    char text[];
};

const char *servers_log_name(struct servers *s, const char *name)
{
    struct log_name *kept = s->log_names;
    while (kept != NULL && strcmp(kept->text, name) != 0)
        kept = kept->next;
    if (kept != NULL)
        return kept->text;
    kept = malloc(sizeof(*kept) + strlen(name) + 1);
    if (kept == NULL)
        return NULL;
    memcpy(kept->text, name, strlen(name) + 1);
    kept->next = s->log_names;
    s->log_names = kept;
    return kept->text;
}

static void database_free(struct servers *s, struct database *d)
{
    pg_outage_free(d->outage);
    if (d->secrets != s->secrets)
        secrets_free(d->secrets);
    free(d->address);
    free(d);
}

void servers_close(struct servers *s)
{
    struct database *next;
    redis_sentinels_free(s->sentinels);
    for (struct database *d = s->databases; d != NULL; d = next) {
        next = d->next;
        database_free(s, d);
    }
    loop_free(s->loop);
    for (struct log_name *name = s->log_names, *after; name != NULL; name = after) {
        after = name->next;
        free(name);
    }
    free(s->redis_address);
    secrets_free(s->secrets);
    memset(s, 0, sizeof(*s));
}

static bool same_name(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

struct database *servers_database(struct servers *s, const struct config *config, bool watch)
{
    const char *name = config->queue->database.text;
    struct database *d = s->databases;
    while (d != NULL && !same_name(d->name, name))
        d = d->next;
    if (d != NULL) {
        d->users++;
        return d;
    }
    d = calloc(1, sizeof(*d));
    if (d == NULL)
        return NULL;
    d->config = config;
    d->name = name;
    d->users = 1;
    d->clock.server = "postgres";
    d->secrets = name == NULL ? s->secrets : secrets_new(config, on_database, d);
    if (d->secrets != NULL)
        on_database(d);
    if (d->address != NULL && watch)
        d->outage = pg_outage_new(s->loop, &d->address);
    if (d->address == NULL || (watch && d->outage == NULL)) {
        database_free(s, d);
        return NULL;
    }
    d->next = s->databases;
    s->databases = d;
    return d;
}

void servers_release(struct servers *s, struct database *d)
{
    struct database **at = &s->databases;
    if (--d->users > 0)
        return;
    while (*at != d)
        at = &(*at)->next;
    *at = d->next;
    database_free(s, d);
}

void servers_judge(struct servers *s)
{
    for (struct database *d = s->databases; d != NULL; d = d->next)
        pg_outage_judge(d->outage);
}

struct pg_source database_source(struct database *d, const struct queue *queue)
{
    struct pg_source source = {secrets_conninfo, d->secrets, &d->home, NULL, 0};
    if (queue != NULL) {
        source.settings = (const char *const *)queue->settings.all;
        source.nsettings = queue->settings.n;
    }
    return source;
}

void servers_reload(struct servers *s)
{
    secrets_reload(s->secrets);
    for (struct database *d = s->databases; d != NULL; d = d->next)
        if (d->secrets != s->secrets)
            secrets_reload_postgres(d->secrets);
}
