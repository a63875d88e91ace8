/* POST /reconcile over several queues, one after the other: each has all of a server's attention,
 * and the memory is that of one. */
#include "app/reconcile_all.h"

#include "app/queue_run.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue_stock.h"
#include "health/health.h"
#include "link/loop.h"
#include "release/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reconcile_all {
    struct reconcile_all_options options;
    int at; /* which of the queues is under way */
    struct reconcile *run;
    struct timer *next;            /* to the next one, outside the callback of the last */
    struct reconcile_result first; /* ... with its error below */
    char error[512];
    bool begun, stopped;
    bool *compared;             /* of each queue, its counters */
    struct queue_run *queues[]; /* options.n */
};

static void take(struct reconcile_all *a, const struct reconcile_result *result)
{
    if (!result->taken) /* else it is another process's */
        health_reconciled(queue_run_health(a->queues[a->at]), result);
    a->compared[a->at] = result->ok && !result->stock_uncounted;
    if (a->at == 0) {
        a->first = *result;
        snprintf(a->error, sizeof(a->error), "%s", result->error);
        a->first.error = a->error;
    }
    timer_after_us(a->next, 0);
}

static void on_begun(void *arg)
{
    struct reconcile_all *a = arg;
    if (!a->begun)
        a->options.begun(a->options.arg);
    a->begun = true;
}

static void on_done(void *arg, const struct reconcile_result *result)
{
    take(arg, result);
}

/* The queue before this one with which its counters have been compared; NULL: none. */
static const char *compared_with(const struct reconcile_all *a)
{
    const struct queue *queue = queue_run_config(a->queues[a->at])->queue;
    for (int i = 0; i < a->at; i++)
        if (a->compared[i] && queue_compared_alike(queue_run_config(a->queues[i])->queue, queue))
            return queue_run_name(a->queues[i]);
    return NULL;
}

/* False: out of memory or file descriptors. */
static bool start(struct reconcile_all *a)
{
    struct queue_run *q = a->queues[a->at];
    const char *queue = log_set_queue(queue_run_name(q));
    struct reconcile_options options = a->options.each;
    options.stock_elsewhere = compared_with(a);
    a->run = reconcile_new(queue_run_parts(q), &options);
    if (a->run != NULL)
        reconcile_run(a->run, on_begun, on_done, a);
    (void)log_set_queue(queue);
    return a->run != NULL;
}

static void end_run(struct reconcile_all *a)
{
    const char *queue = log_set_queue(queue_run_name(a->queues[a->at]));
    reconcile_free(a->run);
    a->run = NULL;
    (void)log_set_queue(queue);
}

static void on_next(void *arg)
{
    struct reconcile_all *a = arg;
    end_run(a);
    if (++a->at >= a->options.n || a->stopped) {
        a->options.done(a->options.arg, &a->first);
        return;
    }
    if (!start(a)) {
        const struct reconcile_result result = {.error = "out of memory or file descriptors"};
        log_event(LOG_ERROR, "Reconciliation failed", LOG_STR, "error", result.error, LOG_STR,
                  "queue", queue_run_name(a->queues[a->at]), LOG_END);
        take(a, &result);
    }
}

struct reconcile_all *reconcile_all_new(const struct reconcile_all_options *options)
{
    size_t size = (size_t)options->n * sizeof(struct queue_run *);
    struct reconcile_all *a = calloc(1, sizeof(*a) + size);
    if (a == NULL)
        return NULL;
    a->options = *options;
    memcpy(a->queues, options->queues, size);
    a->compared = calloc((size_t)options->n, sizeof(*a->compared));
    a->next = timer_new(options->loop, on_next, a);
    if (a->compared == NULL || a->next == NULL || !start(a)) {
        reconcile_all_free(a);
        return NULL;
    }
    return a;
}

void reconcile_all_stop(struct reconcile_all *a)
{
    a->stopped = true;
    if (a->run != NULL && reconcile_running(a->run))
        reconcile_stop(a->run);
}

void reconcile_all_free(struct reconcile_all *a)
{
    if (a == NULL)
        return;
    if (a->run != NULL)
        end_run(a);
    timer_free(a->next);
    free(a->compared);
    free(a);
}
