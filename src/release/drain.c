/* A pass, then again what was locked. */
#include "release/drain.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "release/parts.h"
#include "release/pass.h"

#include <assert.h>
#include <stdlib.h>

#define PAUSE_US (200 * MS_US) /* before what was locked is tried again */

struct drain {
    struct drain_options options;
    struct pass *pass;
    struct timer *turn; /* armed: the next pass, or the end, is due */
    bool running, stopping;
    bool last; /* nothing is tried again after the pass under way */
    int64_t due_by_us, locked_until_us;
    struct drain_result result;
    void (*done)(void *arg, const struct drain_result *result);
    void *arg;
};

static void finish(struct drain *d)
{
    d->running = false;
    d->done(d->arg, &d->result);
}

static void on_pass(void *arg, const struct pass_result *result)
{
    struct drain *d = arg;
    d->result.ok = result->ok;
    d->result.error = result->error;
    d->result.lost = result->lost;
    d->result.paused = result->paused;
    d->result.released += result->released;
    units_add(&d->result.units, &result->units);
    d->result.refused = result->failed + result->not_yet;
    d->result.deferred = result->deferred;
    d->result.kept = result->kept;
    d->result.locked = result->locked;
    if (!result->ok || d->stopping || d->last || result->locked == 0)
        finish(d);
    else
        timer_after_us(d->turn, PAUSE_US);
}

static void on_turn(void *arg)
{
    struct drain *d = arg;
    int64_t now_us = clock_mono_us();
    if (d->stopping) {
        finish(d);
        return;
    }
    d->last = now_us >= d->locked_until_us;
    pass_run(d->pass, d->due_by_us < now_us ? now_us - d->due_by_us : 0, on_pass, d);
}

static void on_item(void *arg, const struct item *item)
{
    const struct drain *d = arg;
    d->options.on_item(d->options.arg, item, d->last);
}

struct drain *drain_new(const struct drain_options *options)
{
    struct drain *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return NULL;
    d->options = *options;
    d->turn = timer_new(options->parts->loop, on_turn, d);
    const struct pass_options pass = {.parts = options->parts,
                                      .links = options->links,
                                      .nlinks = options->nlinks,
                                      .lent = options->lent,
                                      .spares_kept = options->spares_kept};
    d->pass = pass_new(&pass);
    if (d->turn == NULL || d->pass == NULL) {
        drain_free(d);
        return NULL;
    }
    if (options->on_item != NULL)
        pass_watch(d->pass, on_item, d);
    return d;
}

void drain_free(struct drain *d)
{
    if (d == NULL)
        return;
    pass_free(d->pass);
    timer_free(d->turn);
    free(d);
}

void drain_run(struct drain *d, int64_t due_by_us, int64_t locked_for_us,
               void (*done)(void *arg, const struct drain_result *result), void *arg)
{
    assert(!d->running);
    d->running = true;
    d->stopping = false;
    d->due_by_us = due_by_us;
    d->locked_until_us = clock_mono_us() + locked_for_us;
    d->result = (struct drain_result){.ok = true};
    d->done = done;
    d->arg = arg;
    on_turn(d);
}

const struct drain_result *drain_so_far(const struct drain *d)
{
    return &d->result;
}

void drain_stop(struct drain *d)
{
    if (!d->running)
        return;
    d->stopping = true;
    if (pass_running(d->pass))
        pass_stop(d->pass);
    else
        timer_after_us(d->turn, 0);
}

bool drain_running(const struct drain *d)
{
    return d->running;
}

const char *drain_oldest(const struct drain *d, int64_t *since_us)
{
    return pass_oldest(d->pass, since_us);
}

int64_t drain_heard_us(const struct drain *d)
{
    return pass_heard_us(d->pass);
}
