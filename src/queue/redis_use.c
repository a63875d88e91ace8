/* Whether Redis can be used. The state is written by enter() alone. */
#include "queue/redis_use.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "link/redis_finder.h"
#include "link/server_watch.h"
#include "queue/due_queue.h"
#include "queue/redis_refusal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define PROBE_US SECOND_US
#define PROBE_MAX_US (5 * SECOND_US) /* after relapses: each recovery costs a full look */
#define STILL_US (30 * SECOND_US)    /* while in use: some rights are needed seldom */
#define STEADY_US MINUTE_US          /* in use for so long: the next refusal is no relapse */

enum use_state { USE_UNKNOWN, USE_AWAY, USE_REFUSED, USE_OK };

LIST_HEAD(redis_use_list, redis_use);

struct redis_outage {
    char *const *address;
    struct server_watch *watch;
    struct redis_use_list uses;
    const char *fault; /* that was said last; NULL: none */
};

struct redis_use {
    LIST_ENTRY(redis_use) entry;
    struct redis_use_options options;
    const char *log_queue; /* of the log, when it was made */
    struct timer *probe;   /* armed: when it is tried again */
    struct timer *change;  /* armed: on_change is due */

    enum use_state state;
    char reason[256];
    bool probing;               /* a probe has no answer yet */
    bool lost;                  /* the last DOWN followed an UP: may be a blip */
    char node[REDIS_NODE_TEXT]; /* of the last connection, as it was said */
    char used[REDIS_NODE_TEXT]; /* where it was in use last; "": nowhere yet */
    bool moved;                 /* ... which is another than before */
    int64_t probe_us;
    int64_t ok_us; /* monotonic: in use since */
};

static bool any_degraded(const struct redis_outage *o)
{
    const struct redis_use *u;
    LIST_FOREACH(u, &o->uses, entry)
    if (redis_use_degraded(u))
        return true;
    return false;
}

/* That it is out of reach is of no queue; what it refuses is a queue's. */
static void note_down(const struct redis_use *u, bool lasting)
{
    bool away = u->state == USE_AWAY;
    const char *queue = log_set_queue(away ? NULL : log_queue());
    server_watch_down(u->options.outage->watch,
                      away ? "Redis is out of reach; releases go on straight from Postgres"
                           : "Redis refuses what the sweeper asks of it; releases go on straight "
                             "from Postgres",
                      u->reason, lasting);
    (void)log_set_queue(queue);
}

static void enter(struct redis_use *u, enum use_state state, const char *reason)
{
    bool lasting = state == USE_REFUSED || !u->lost;
    snprintf(u->reason, sizeof(u->reason), "%s", reason);
    if (state != u->state)
        timer_after_us(u->change, 0);
    u->state = state;
    if (state == USE_OK) {
        u->ok_us = clock_mono_us();
        u->moved = u->used[0] != '\0' && strcmp(u->used, u->node) != 0;
        snprintf(u->used, sizeof(u->used), "%s", u->node);
        if (!any_degraded(u->options.outage))
            server_watch_up(u->options.outage->watch);
    } else if (state != USE_UNKNOWN) {
        note_down(u, lasting);
    }
}

/* Whether two refusals are one: which call meets a lack of memory first, say, is chance; which
 * right is missing is not. */
static bool same_refusal(const char *a, const char *b)
{
    const char *words_a = strstr(a, ": ");
    const char *words_b = strstr(b, ": ");
    return words_a != NULL && words_b != NULL && strcmp(words_a, words_b) == 0 &&
           strstr(a, "NOPERM") == NULL && strstr(a, "can't run this command") == NULL;
}

static void refuse(struct redis_use *u, const char *reason)
{
    char former[sizeof(u->reason)];
    if (u->state == USE_OK) {
        bool at_once = clock_mono_us() - u->ok_us >= STEADY_US || due_refusal_passing(reason);
        u->probe_us = at_once ? PROBE_US : 2 * u->probe_us;
        if (u->probe_us > PROBE_MAX_US)
            u->probe_us = PROBE_MAX_US;
    }
    snprintf(former, sizeof(former), "%s", u->reason);
    enter(u, USE_REFUSED, same_refusal(former, reason) ? former : reason);
    timer_after_us(u->probe, u->probe_us);
}

static void on_probed(void *arg, const char *error)
{
    struct redis_use *u = arg;
    u->probing = false;
    if (redis_link_state(u->options.redis) != REDIS_LINK_UP ||
        (error != NULL && strncmp(error, "MOVED ", strlen("MOVED ")) == 0))
        return; /* the link says more, or follows */
    if (error != NULL) {
        refuse(u, error);
        return;
    }
    if (u->state != USE_OK)
        enter(u, USE_OK, "");
    timer_after_us(u->probe, STILL_US);
}

static void probe(void *arg)
{
    struct redis_use *u = arg;
    if (u->probing || redis_link_state(u->options.redis) != REDIS_LINK_UP)
        return;
    u->probing = due_queue_probe(u->options.queue, on_probed, u) == 0;
    if (!u->probing)
        timer_after_us(u->probe, u->probe_us);
}

/* Any call that is refused ends the use; while there is none, the probe alone says what is. */
static void on_refused(void *arg, const char *reason)
{
    struct redis_use *u = arg;
    if (u->state == USE_OK && !u->probing)
        refuse(u, reason);
}

static void on_change_due(void *arg)
{
    struct redis_use *u = arg;
    u->options.on_change(u->options.arg);
}

struct redis_outage *redis_outage_new(struct loop *loop, char *const *address)
{
    const struct server_watch_words words = {
        .server = "redis",
        .address = address,
        .back = "Redis is back",
        .often = "Connections to Redis are often lost, and made anew at once",
        .degraded = true,
    };
    struct redis_outage *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return NULL;
    LIST_INIT(&o->uses);
    o->address = address;
    o->watch = server_watch_new(loop, &words);
    if (o->watch == NULL) {
        free(o);
        return NULL;
    }
    return o;
}

void redis_outage_free(struct redis_outage *o)
{
    if (o == NULL)
        return;
    assert(LIST_EMPTY(&o->uses));
    server_watch_free(o->watch);
    free(o);
}

struct redis_use *redis_use_new(struct loop *loop, const struct redis_use_options *options)
{
    struct redis_use *u = calloc(1, sizeof(*u));
    if (u == NULL)
        return NULL;
    u->options = *options;
    u->log_queue = log_queue();
    u->probe_us = PROBE_US;
    LIST_INSERT_HEAD(&options->outage->uses, u, entry);
    u->probe = timer_new(loop, probe, u);
    u->change = timer_new(loop, on_change_due, u);
    if (u->probe == NULL || u->change == NULL) {
        redis_use_free(u);
        return NULL;
    }
    due_queue_on_refused(options->queue, on_refused, u);
    return u;
}

void redis_use_free(struct redis_use *u)
{
    if (u == NULL)
        return;
    LIST_REMOVE(u, entry);
    timer_free(u->probe);
    timer_free(u->change);
    free(u);
}

/* Another queue, whose link is up, has said that it is connected to this node. */
static bool said_by_another(const struct redis_use *of, const char *node)
{
    const struct redis_use *u;
    LIST_FOREACH(u, &of->options.outage->uses, entry)
    if (u != of && strcmp(u->node, node) == 0 &&
        redis_link_state(u->options.redis) == REDIS_LINK_UP)
        return true;
    return false;
}

/* The first time, another node, and after what was said: at INFO. Else sessions that end every few
 * seconds would be a line each. */
static void say_connected(struct redis_use *u)
{
    const struct redis_outage *o = u->options.outage;
    const struct redis_where *w = redis_finder_where(u->options.finder);
    const struct redis_server_info *info = redis_link_info(u->options.redis);
    bool news = !said_by_another(u, w->node) &&
                (strcmp(u->node, w->node) != 0 || server_watch_said(o->watch));
    const char *queue = log_set_queue(w->slot >= 0 ? u->log_queue : NULL);
    log_event(news ? LOG_INFO : LOG_DEBUG, "Redis connected", LOG_STR, "redis", *o->address,
              LOG_STR, "node", w->node, LOG_STR, "role", w->role, LOG_STR, "found", w->found,
              LOG_STR, "server", log_told(info->server), LOG_STR, "version",
              log_told(info->version), LOG_END);
    (void)log_set_queue(queue);
    snprintf(u->node, sizeof(u->node), "%s", w->node);
}

/* REDIS_URL cannot be meant so: once, until something else is the matter. */
static void say_fault(struct redis_use *u)
{
    struct redis_outage *o = u->options.outage;
    const char *fault = redis_finder_fault(u->options.finder);
    const char *queue = log_set_queue(NULL);
    if (fault != NULL && fault != o->fault)
        log_event(LOG_ERROR, "REDIS_URL names no Redis that can be used", LOG_STR, "error", fault,
                  LOG_STR, "redis", *o->address, LOG_BOOL, "degraded", 1, LOG_END);
    o->fault = fault;
    (void)log_set_queue(queue);
}

void redis_use_link(struct redis_use *u, enum redis_state state, const char *reason)
{
    const char *queue = log_set_queue(u->log_queue);
    say_fault(u);
    if (state == REDIS_LINK_UP) {
        say_connected(u);
        u->lost = true;
        timer_clear(u->probe);
        probe(u);
    } else if (state == REDIS_LINK_DOWN) {
        timer_clear(u->probe);
        enter(u, USE_AWAY, redis_finder_reason(u->options.finder, reason));
        u->lost = false;
    }
    (void)log_set_queue(queue);
}

void redis_outage_judge(struct redis_outage *o)
{
    const struct redis_use *u;
    bool ok = false;
    LIST_FOREACH(u, &o->uses, entry)
    {
        if (redis_use_degraded(u)) {
            const char *queue = log_set_queue(u->log_queue);
            note_down(u, true);
            (void)log_set_queue(queue);
            return;
        }
        ok = ok || redis_use_ok(u);
    }
    if (ok)
        server_watch_up(o->watch);
}

bool redis_use_ok(const struct redis_use *u)
{
    return u->state == USE_OK;
}

bool redis_use_moved(const struct redis_use *u)
{
    return u->moved;
}

bool redis_use_degraded(const struct redis_use *u)
{
    return u->state == USE_AWAY || u->state == USE_REFUSED;
}

const char *redis_use_reason(const struct redis_use *u)
{
    return redis_use_degraded(u) ? u->reason : "";
}
