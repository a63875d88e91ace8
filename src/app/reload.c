/* SIGHUP: the queues file is read anew.
 *
 * How it goes on: PROVING (each new or changed queue, one after the other), HOLDING (what POST has
 * started ends after the step in hand, since it works on the queues), STOPPING (those that are gone
 * or changed, in order), and then, in one turn of the loop, the new list takes the former's place.
 * Up to that turn a failure leaves the former list as it was.
 *
 * What must hold:
 * - The settings of a queue that is served belong to the reading of the file that brought them, and
 *   so do those that a database was first named by: a reading is freed when it holds neither.
 * - No two runs of one queue release at a time: the successor starts when the former is freed.
 * - What was claimed by a queue that is gone is either released or handed back, as at the
 *   program's end. Beyond a lease's time it is another sweeper's in any case, so that is waited for
 *   at most. */
#include "app/reload.h"

#include "app/context.h"
#include "app/http_routes.h"
#include "app/proof.h"
#include "app/queue_run.h"
#include "app/readings.h"
#include "app/reloaded.h"
#include "app/servers.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "config/queues.h"
#include "link/loop.h"
#include "queue/redis_use.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HAND_BACK_US (2 * SECOND_US) /* for what was abandoned */

enum phase { IDLE, PROVING, HOLDING, STOPPING, CLOSED };

struct reload {
    struct reload_options options;
    enum phase phase;
    bool again;               /* another signal has come meanwhile */
    struct readings readings; /* the one under way is the latest */
    struct queue_runs next;   /* to be served: those that stay, and new ones */
    struct reloaded *reloaded;
    struct proof *proof;
    int proving; /* which of the file's queues */
    int waiting_for;
    bool abandoned;
    struct timer *turn, *grace;
    event_cb *stopped; /* the daemon stops */
    void *stopped_arg;
};

static void begin(struct reload *r);

static struct queue_run *find(const struct queue_runs *queues, const char *name)
{
    int i = queue_runs_find(queues, name);
    return i >= 0 ? queues->all[i] : NULL;
}

static bool holds(const struct queue_runs *queues, const struct queue_run *q)
{
    for (int i = 0; i < queues->n; i++)
        if (queues->all[i] == q)
            return true;
    return false;
}

/* The queue that is served already as these settings have it; NULL: none. */
static struct queue_run *unchanged(const struct reload *r, const struct config *config)
{
    struct queue_run *q = find(r->options.queues, config->queue->name);
    return q != NULL && config_queue_same(queue_run_config(q), config) ? q : NULL;
}

/* Drops what was made for a list that is not served. */
static void drop_next(struct reload *r)
{
    proof_free(r->proof);
    r->proof = NULL;
    for (int i = 0; i < r->next.n; i++)
        if (!holds(r->options.queues, r->next.all[i]))
            queue_run_free(r->next.all[i]);
    free(r->next.all);
    r->next = (struct queue_runs){0};
    readings_free_unused(&r->readings, r->options.queues, r->options.servers);
}

static void end(struct reload *r)
{
    drop_next(r);
    r->phase = IDLE;
    if (r->again)
        timer_after_us(r->turn, 0);
}

static void refuse(struct reload *r, const char *error)
{
    reloaded_refused(r->reloaded, error);
    end(r);
}

/* A queue that was served ends. */
static void leave(struct reload *r, struct queue_run *q)
{
    struct queue_run *successor = find(r->options.queues, queue_run_name(q));
    const char *queue = log_set_queue(queue_run_name(q));
    queue_run_flush_log(q);
    if (successor == NULL) {
        log_event(LOG_INFO, "A queue is no longer served", LOG_END);
        r->options.on_gone(r->options.arg, q);
    } else {
        queue_run_take_over(successor, q);
    }
    (void)log_set_queue(queue);
    queue_run_free(q);
}

/* The new list takes the former's place. */
static void swap(struct reload *r)
{
    struct queue_runs *queues = r->options.queues;
    struct queue_runs former = *queues;
    reloaded_queues(r->reloaded, queues, &r->next);
    *queues = r->next;
    r->next = (struct queue_runs){0};
    for (int i = 0; i < former.n; i++)
        if (!holds(queues, former.all[i])) {
            leave(r, former.all[i]);
            former.all[i] = NULL;
        }
    for (int i = 0; i < queues->n; i++)
        if (!holds(&former, queues->all[i])) {
            queue_run_say(queues->all[i]);
            queue_run_start(queues->all[i]);
        }
    free(former.all);
    servers_judge(r->options.servers);
    redis_outage_judge(r->options.outage);
    if (*r->options.http != NULL)
        http_routes_resume(*r->options.http);
    reloaded_done(r->reloaded, queues->n);
    end(r);
}

static void on_turn(void *arg)
{
    struct reload *r = arg;
    event_cb *stopped = r->stopped;
    timer_clear(r->grace);
    if (stopped != NULL) {
        r->stopped = NULL;
        r->phase = CLOSED;
        stopped(r->stopped_arg);
    } else if (r->phase == STOPPING) {
        swap(r);
    } else if (r->again) {
        begin(r);
    }
}

static void on_queue_stopped(void *arg)
{
    struct reload *r = arg;
    if (--r->waiting_for == 0)
        timer_after_us(r->turn, 0);
}

static void on_grace(void *arg)
{
    struct reload *r = arg;
    const struct queue_runs *queues = r->options.queues;
    if (r->abandoned) {
        timer_after_us(r->turn, 0);
        return;
    }
    r->abandoned = true;
    timer_after_us(r->grace, HAND_BACK_US);
    for (int i = 0; i < queues->n; i++)
        if (reload_stops(r, queues->all[i]))
            queue_run_abandon(queues->all[i]);
}

/* Nobody but the queues themselves works on them any more. */
static void on_held(void *arg)
{
    struct reload *r = arg;
    const struct queue_runs *queues = r->options.queues;
    r->phase = STOPPING;
    r->abandoned = false;
    r->waiting_for = 1; /* this call */
    timer_after_us(r->grace, r->options.config->lease_us);
    for (int i = 0; i < queues->n; i++)
        if (reload_stops(r, queues->all[i])) {
            r->waiting_for++;
            queue_run_stop(queues->all[i], on_queue_stopped, r);
        }
    on_queue_stopped(r);
}

/* Makes the list to be served. Returns 0, or -1: out of memory or descriptors. */
static int make_next(struct reload *r)
{
    const struct config *fresh = readings_latest(&r->readings);
    int n = config_queues(fresh);
    r->next.all = calloc((size_t)n, sizeof(struct queue_run *));
    if (r->next.all == NULL || !enough_files(fresh, n))
        return -1;
    for (; r->next.n < n; r->next.n++) {
        const struct config *config = config_queue(fresh, r->next.n);
        struct queue_run *q = unchanged(r, config);
        if (q == NULL)
            q = queue_run_new(r->options.servers, r->options.outage, config);
        if (q == NULL)
            return -1;
        r->next.all[r->next.n] = q;
    }
    return 0;
}

static bool is_served(const struct reload *r)
{
    const struct queue_runs *queues = r->options.queues;
    return r->next.n == queues->n &&
           memcmp(r->next.all, queues->all, (size_t)queues->n * sizeof(struct queue_run *)) == 0;
}

static void apply(struct reload *r)
{
    if (make_next(r) != 0) {
        refuse(r, "out of memory or file descriptors");
    } else if (is_served(r)) {
        reloaded_done(r->reloaded, r->next.n);
        end(r);
    } else {
        r->phase = HOLDING;
        if (*r->options.http != NULL)
            http_routes_stop(*r->options.http, on_held, r);
        else
            on_held(r);
    }
}

static void prove_next(struct reload *r);

static void on_proved(void *arg, const char *error)
{
    struct reload *r = arg;
    if (error != NULL) {
        refuse(r, error);
        return;
    }
    proof_free(r->proof);
    r->proof = NULL;
    r->proving++;
    prove_next(r);
}

static void prove_next(struct reload *r)
{
    const struct config *fresh = readings_latest(&r->readings);
    while (r->proving < config_queues(fresh) &&
           unchanged(r, config_queue(fresh, r->proving)) != NULL)
        r->proving++;
    if (r->proving == config_queues(fresh)) {
        apply(r);
        return;
    }
    const struct config *config = config_queue(fresh, r->proving);
    const char *queue = log_set_queue(servers_log_name(r->options.servers, config->queue->name));
    r->proof = proof_new(r->options.servers, config, on_proved, r);
    (void)log_set_queue(queue);
    if (r->proof == NULL)
        refuse(r, "out of memory");
}

static void begin(struct reload *r)
{
    char error[1024];
    r->again = r->phase != IDLE;
    if (r->again)
        return;
    timer_clear(r->turn);
    if (readings_add(&r->readings, r->options.config, error, sizeof(error)) != 0) {
        refuse(r, error);
    } else {
        r->phase = PROVING;
        r->proving = 0;
        prove_next(r);
    }
}

void reload_begin(struct reload *r)
{
    servers_reload(r->options.servers);
    reloaded_secrets(r->reloaded, r->options.servers);
    begin(r);
}

const struct reloaded *reload_outcome(const struct reload *r)
{
    return r->reloaded;
}

bool reload_stops(const struct reload *r, const struct queue_run *q)
{
    return r->phase == STOPPING && !holds(&r->next, q);
}

void reload_stop(struct reload *r, event_cb *done, void *arg)
{
    r->stopped = done;
    r->stopped_arg = arg;
    if (r->phase == STOPPING)
        return;
    r->phase = CLOSED;
    drop_next(r);
    timer_after_us(r->turn, 0);
}

void reload_close(struct reload *r)
{
    if (r != NULL)
        drop_next(r);
}

struct reload *reload_new(const struct reload_options *options)
{
    struct reload *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->options = *options;
    r->turn = timer_new(options->servers->loop, on_turn, r);
    r->grace = timer_new(options->servers->loop, on_grace, r);
    r->reloaded = reloaded_new();
    if (r->turn != NULL && r->grace != NULL && r->reloaded != NULL)
        return r;
    reload_free(r);
    return NULL;
}

void reload_free(struct reload *r)
{
    if (r == NULL)
        return;
    readings_clear(&r->readings);
    reloaded_free(r->reloaded);
    timer_free(r->turn);
    timer_free(r->grace);
    free(r);
}
