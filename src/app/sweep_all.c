/* POST /sweep over several queues. */
#include "app/sweep_all.h"

#include "app/queue_run.h"
#include "base/json_text.h"
#include "base/log.h"
#include "release/parts.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct part {
    struct sweep_all *all;
    struct queue_run *queue;
    struct sweep_job *job;
    struct sweep_outcome *outcome;
};

struct sweep_all {
    struct part *parts;
    struct sweep_outcome *outcomes;
    int n;
    int waiting_for;
    void (*done)(void *arg, const struct sweep_outcome *outcomes, int n);
    void *arg;
};

/* One record of all that came to their end; those that did not have one each. */
static void say(const struct sweep_all *s)
{
    struct cleanup *cleanups = calloc((size_t)s->n, sizeof(*cleanups));
    bool any = false;
    if (cleanups == NULL)
        return;
    for (int i = 0; i < s->n; i++) {
        cleanups[i] = s->outcomes[i].cleanup;
        any = any || s->outcomes[i].error[0] == '\0';
    }
    if (any)
        cleanup_completed(cleanups, s->n);
    free(cleanups);
}

static void on_job(void *arg, const struct sweep_job_result *result)
{
    struct part *part = arg;
    struct sweep_all *s = part->all;
    struct sweep_outcome *o = part->outcome;
    o->cleanup = result->cleanup;
    o->cleanup.queue = o->queue;
    o->out_of_reach = result->out_of_reach;
    if (result->error != NULL) {
        snprintf(o->error, sizeof(o->error), "%s", result->error);
        cleanup_failed(&o->cleanup, o->error);
    }
    if (--s->waiting_for > 0)
        return;
    say(s);
    s->done(s->arg, s->outcomes, s->n);
}

struct sweep_all *
sweep_all_new(struct queue_run *const *queues, int n,
              void (*done)(void *arg, const struct sweep_outcome *outcomes, int n), void *arg)
{
    struct sweep_all *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->parts = calloc((size_t)n, sizeof(*s->parts));
    s->outcomes = calloc((size_t)n, sizeof(*s->outcomes));
    s->done = done;
    s->arg = arg;
    if (s->parts == NULL || s->outcomes == NULL) {
        sweep_all_free(s);
        return NULL;
    }
    for (; s->n < n; s->n++) {
        struct part *part = &s->parts[s->n];
        const char *name = queue_run_name(queues[s->n]);
        const char *queue = log_set_queue(name);
        s->outcomes[s->n].queue = name;
        *part = (struct part){s, queues[s->n], NULL, &s->outcomes[s->n]};
        part->job = sweep_job_new(queue_run_parts(part->queue), on_job, part);
        (void)log_set_queue(queue);
        if (part->job == NULL) {
            sweep_all_free(s);
            return NULL;
        }
    }
    s->waiting_for = n;
    return s;
}

void sweep_all_stop(struct sweep_all *s)
{
    for (int i = 0; i < s->n; i++) {
        const char *queue = log_set_queue(s->outcomes[i].queue);
        sweep_job_stop(s->parts[i].job);
        (void)log_set_queue(queue);
    }
}

void sweep_all_free(struct sweep_all *s)
{
    if (s == NULL)
        return;
    for (int i = 0; i < s->n; i++) {
        const char *queue = log_set_queue(s->outcomes[i].queue);
        sweep_job_free(s->parts[i].job);
        (void)log_set_queue(queue);
    }
    free(s->parts);
    free(s->outcomes);
    free(s);
}

/* What went wrong first; NULL: nothing did. */
static const char *what_failed(const struct sweep_outcome *outcomes, int n)
{
    const char *error = NULL;
    for (int i = n - 1; i >= 0; i--) {
        if (outcomes[i].error[0] != '\0')
            error = outcomes[i].error;
        else if (outcomes[i].cleanup.failed > 0 && error == NULL)
            error = "Postgres refused some reservations; see the log";
    }
    return error;
}

static int status_of(const struct sweep_outcome *outcomes, int n, const char *error)
{
    for (int i = 0; i < n; i++)
        if (outcomes[i].error[0] != '\0' && outcomes[i].out_of_reach)
            return 503;
    return error != NULL ? 500 : 200;
}

static void set_count(json_t *o, const char *name, uint64_t n)
{
    (void)json_object_set_new(o, name, json_integer((json_int_t)n));
}

char *sweep_outcomes_json(const struct sweep_outcome *outcomes, int n, int *status)
{
    const char *error = what_failed(outcomes, n);
    struct cleanup sum = outcomes[0].cleanup;
    json_t *o = json_object();
    json_t *queues = json_object();
    *status = status_of(outcomes, n, error);
    for (int i = 0; i < n; i++) {
        if (i > 0)
            cleanup_add(&sum, &outcomes[i].cleanup);
        set_count(queues, outcomes[i].queue, outcomes[i].cleanup.cleaned);
    }
    if (error != NULL)
        (void)json_object_set_new(o, "error", json_text(error));
    set_count(o, "cleanedCount", sum.cleaned);
    if (error != NULL)
        set_count(o, "failedCount", sum.failed);
    if (error != NULL || sum.skipped > 0)
        set_count(o, "skippedCount", sum.skipped);
    if (n > 1)
        (void)json_object_set(o, "queues", queues);
    json_decref(queues);
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}
