/* Decides when the next claim is made and by which worker. Every event ends in poke(), which
 * looks at everything anew. */
#include "sweep/sweeper.h"

#include "base/callback.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/loop.h"
#include "release/parts.h"
#include "sweep/worker.h"

#include <stdlib.h>

#define AFTER_ERROR_US (100 * MS_US) /* until the next claim after Redis refused one */

struct sweeper {
    struct parts *parts;
    struct worker **workers;
    int n;
    struct timer *wake;
    struct timer *stopped; /* delivers `done` on a later turn */

    struct worker *claiming;  /* one claim at a time: its answer says when the next is due */
    int64_t next_ms;          /* the earliest score known; INT64_MAX: none */
    int64_t looked_us;        /* monotonic: the last look at Redis */
    int64_t batch_started_us; /* monotonic: the last claim that brought something */
    int64_t not_before_us;    /* monotonic: after an error */

    bool stopping;
    event_cb *done;
    void *done_arg;
};

static void poke(struct sweeper *s);

/* A free worker; in a backlog also one that is still busy. NULL: none. */
static struct worker *ready_worker(const struct sweeper *s)
{
    for (int i = 0; i < s->n; i++)
        if (worker_ready(s->workers[i]))
            return s->workers[i];
    for (int i = 0; i < s->n && s->parts->backlog; i++)
        if (worker_ready_ahead(s->workers[i]))
            return s->workers[i];
    return NULL;
}

/* The monotonic moment of the next claim. */
static int64_t next_claim_us(const struct sweeper *s)
{
    int64_t at_us = s->looked_us + s->parts->config->max_sleep_us;
    if (s->next_ms < INT64_MAX / MS_US) {
        int64_t due_us = server_clock_to_mono_us(&s->parts->pg_clock, s->next_ms * MS_US);
        if (due_us < at_us)
            at_us = due_us;
    }
    int64_t paced_us = s->batch_started_us + s->parts->config->pace_us;
    if (at_us < paced_us)
        at_us = paced_us;
    if (s->parts->backlog) /* a full batch is waiting already */
        at_us = 0;
    return at_us > s->not_before_us ? at_us : s->not_before_us;
}

static void check_stopped(struct sweeper *s)
{
    if (s->done == NULL)
        return;
    for (int i = 0; i < s->n; i++)
        if (!worker_idle(s->workers[i]))
            return;
    timer_after_us(s->stopped, 0);
}

static void on_stopped(void *arg)
{
    struct sweeper *s = arg;
    event_cb *done = s->done;
    s->done = NULL;
    if (done != NULL)
        done(s->done_arg);
}

static void poke(struct sweeper *s)
{
    timer_clear(s->wake);
    if (s->stopping) {
        check_stopped(s);
        return;
    }
    if (s->claiming != NULL || !parts_redis_usable(s->parts))
        return;
    struct worker *w = ready_worker(s);
    if (w == NULL)
        return; /* poked again when one is */
    int64_t at_us = next_claim_us(s);
    int64_t now_us = clock_mono_us();
    if (at_us > now_us) {
        timer_at_us(s->wake, at_us);
        return;
    }
    s->looked_us = now_us;
    if (worker_claim(w) == 0)
        s->claiming = w;
    else
        timer_after_us(s->wake, AFTER_ERROR_US);
}

static void on_wake(void *arg)
{
    struct sweeper *s = arg;
    for (int i = 0; i < s->n; i++) /* those that are not used would stay */
        worker_follow_postgres(s->workers[i]);
    poke(s);
}

static void on_claimed(void *arg, struct worker *w, const struct worker_claim_result *result)
{
    struct sweeper *s = arg;
    s->claiming = NULL;
    if (s->stopping)
        worker_hand_back(w);
    s->parts->backlog = result->full;
    s->next_ms = result->next_ms;
    if (!result->ok)
        s->not_before_us = clock_mono_us() + AFTER_ERROR_US;
    if (result->n > 0)
        s->batch_started_us = s->looked_us;
    poke(s);
}

static void on_free(void *arg, struct worker *w)
{
    (void)w;
    poke(arg);
}

static void on_settled(void *arg, struct worker *w, int64_t put_back_ms)
{
    struct sweeper *s = arg;
    (void)w;
    if (put_back_ms < s->next_ms)
        s->next_ms = put_back_ms;
    poke(s);
}

static void on_link(void *arg, struct worker *w)
{
    struct sweeper *s = arg;
    (void)w;
    poke(s);
}

struct sweeper *sweeper_new(struct parts *parts)
{
    struct sweeper *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->parts = parts;
    s->next_ms = INT64_MAX;
    s->looked_us = INT64_MIN / 2;
    s->batch_started_us = INT64_MIN / 2;
    s->wake = timer_new(parts->loop, on_wake, s);
    s->stopped = timer_new(parts->loop, on_stopped, s);
    s->workers = calloc((size_t)parts->config->workers, sizeof(struct worker *));
    if (s->wake == NULL || s->stopped == NULL || s->workers == NULL) {
        sweeper_free(s);
        return NULL;
    }
    const struct worker_events events = {on_claimed, on_free, on_settled, on_link, s};
    for (; s->n < parts->config->workers; s->n++) {
        s->workers[s->n] = worker_new(parts, &events, s->n + 1);
        if (s->workers[s->n] == NULL) {
            sweeper_free(s);
            return NULL;
        }
    }
    return s;
}

void sweeper_free(struct sweeper *s)
{
    if (s == NULL)
        return;
    s->stopping = true;
    while (s->workers != NULL && s->n > 0) /* no longer ours: its last callbacks look at all */
        worker_free(s->workers[--s->n]);
    free(s->workers);
    timer_free(s->wake);
    timer_free(s->stopped);
    free(s);
}

void sweeper_start(struct sweeper *s)
{
    for (int i = 0; i < s->n; i++)
        worker_start(s->workers[i]);
}

void sweeper_redis_changed(struct sweeper *s)
{
    s->next_ms = INT64_MAX;
    s->parts->backlog = false;
    s->looked_us = INT64_MIN / 2; /* look at once */
    poke(s);
}

void sweeper_statements_made(struct sweeper *s)
{
    poke(s);
}

void sweeper_expect(struct sweeper *s, int64_t at_ms)
{
    if (at_ms >= s->next_ms)
        return;
    s->next_ms = at_ms;
    poke(s);
}

void sweeper_stop(struct sweeper *s, event_cb *done, void *arg)
{
    s->stopping = true;
    s->done = done;
    s->done_arg = arg;
    for (int i = 0; i < s->n; i++)
        worker_hand_back(s->workers[i]);
    poke(s);
}

void sweeper_abandon(struct sweeper *s)
{
    for (int i = 0; i < s->n; i++)
        worker_abandon(s->workers[i]);
    poke(s); /* no answer follows where nothing could be sent */
}

bool sweeper_postgres_up(const struct sweeper *s)
{
    for (int i = 0; i < s->n; i++)
        if (worker_link_up(s->workers[i]))
            return true;
    return false;
}

uint64_t sweeper_postgres_reconnects(const struct sweeper *s)
{
    uint64_t total = 0;
    for (int i = 0; i < s->n; i++)
        total += worker_reconnects(s->workers[i]);
    return total;
}

const char *sweeper_postgres_error(const struct sweeper *s)
{
    return s->n > 0 ? worker_link_error(s->workers[0]) : "";
}
