/* What a SIGHUP has changed. Memory that runs out costs no more than the words about it. */
#include "app/reloaded.h"

#include "app/queue_run.h"
#include "app/servers.h"
#include "base/clock.h"
#include "base/iso_time.h"
#include "base/json_text.h"
#include "base/log.h"
#include "config/config.h"
#include "config/queues.h"
#include "config/secrets.h"

#include <jansson.h>
#include <stdlib.h>

/* Of the one under way. */
struct reloaded {
    json_t *fresh, *changed, *gone; /* queues */
    json_t *secrets;                /* variables */
    int n;                          /* queues of these three */
    json_t *last;
};

static void begin(struct reloaded *r)
{
    r->fresh = json_array();
    r->changed = json_object();
    r->gone = json_array();
    r->secrets = json_array();
    r->n = 0;
}

static void clear(struct reloaded *r)
{
    json_decref(r->fresh);
    json_decref(r->changed);
    json_decref(r->gone);
    json_decref(r->secrets);
}

struct reloaded *reloaded_new(void)
{
    struct reloaded *r = calloc(1, sizeof(*r));
    if (r != NULL)
        begin(r);
    return r;
}

void reloaded_free(struct reloaded *r)
{
    if (r == NULL)
        return;
    clear(r);
    json_decref(r->last);
    free(r);
}

static void add_secrets(struct reloaded *r, const struct secrets *secrets)
{
    for (int i = 0; i < CONFIG_SECRETS_N; i++) {
        const char *variable = secrets_changed(secrets, (enum config_secret)i);
        if (variable != NULL)
            (void)json_array_append_new(r->secrets, json_text(variable));
    }
}

void reloaded_secrets(struct reloaded *r, const struct servers *servers)
{
    add_secrets(r, servers->secrets);
    for (const struct database *d = servers->databases; d != NULL; d = d->next)
        if (d->secrets != servers->secrets)
            add_secrets(r, d->secrets);
}

static void compare(struct reloaded *r, const struct queue_run *former, const struct queue_run *now)
{
    const char *keys[QUEUE_DIFFERENCES_MAX];
    json_t *list = json_array();
    int n = config_queue_differences(queue_run_config(former), queue_run_config(now), keys);
    for (int i = 0; i < n; i++)
        (void)json_array_append_new(list, json_string(keys[i]));
    (void)json_object_set_new(r->changed, queue_run_name(now), list);
    r->n++;
}

void reloaded_queues(struct reloaded *r, const struct queue_runs *former,
                     const struct queue_runs *now)
{
    for (int i = 0; i < now->n; i++) {
        const char *name = queue_run_name(now->all[i]);
        int at = queue_runs_find(former, name);
        if (at < 0) {
            (void)json_array_append_new(r->fresh, json_text(name));
            r->n++;
        } else if (former->all[at] != now->all[i]) {
            compare(r, former->all[at], now->all[i]);
        }
    }
    for (int i = 0; i < former->n; i++) {
        const char *name = queue_run_name(former->all[i]);
        if (queue_runs_find(now, name) < 0) {
            (void)json_array_append_new(r->gone, json_text(name));
            r->n++;
        }
    }
}

/* What it was; a new reference. NULL: out of memory. */
static json_t *changes(const struct reloaded *r)
{
    return json_pack("{s:O, s:O, s:O, s:O}", "newQueues", r->fresh, "changedQueues", r->changed,
                     "goneQueues", r->gone, "secrets", r->secrets);
}

/* For /status. Takes what over. */
static void keep(struct reloaded *r, json_t *what, const char *error)
{
    char at[ISO_TIME_SIZE];
    json_decref(r->last);
    r->last = json_pack("{s:s, s:b}", "at", iso_time(clock_wall_us(), at), "ok", error == NULL);
    if (error != NULL)
        (void)json_object_set_new(r->last, "error", json_text(error));
    (void)json_object_update(r->last, what);
    json_decref(what);
    clear(r);
    begin(r);
}

void reloaded_done(struct reloaded *r, int queues)
{
    json_t *what = changes(r);
    log_event(LOG_INFO, "Reloaded", LOG_STR, "read", "secrets' files, queues", LOG_INT, "queues",
              (int64_t)queues, LOG_INT, "changed", (int64_t)r->n, LOG_EACH, "", what, LOG_END);
    keep(r, what, NULL);
}

void reloaded_refused(struct reloaded *r, const char *error)
{
    log_event(LOG_ERROR, "The queues file cannot be used; the queues stay as they were", LOG_STR,
              "error", error, LOG_JSON, "secrets", r->secrets, LOG_END);
    keep(r, changes(r), error);
}

struct json_t *reloaded_last(const struct reloaded *r)
{
    return r->last;
}
