/* Releases straight from Postgres, by passes over the feed's connection. */
#include "feed/direct.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "feed/overdue.h"
#include "release/drain.h"
#include "release/parts.h"

#include <assert.h>
#include <stdlib.h>

#define MOMENT_US SECOND_US /* for so long what a pass has read is no news */

struct direct {
    struct parts *parts;
    struct overdue *overdue;
    struct pg_link *link; /* the array of one that the drain is given */
    struct drain *drain;
    bool stopping;
    int64_t began_us; /* monotonic */
    void (*done)(void *arg, const struct drain_result *result);
    void *arg;
};

struct direct *direct_new(struct parts *parts, struct pg_link *link, struct engine *lanes,
                          struct overdue *overdue)
{
    struct direct *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return NULL;
    d->parts = parts;
    d->overdue = overdue;
    d->link = link;
    const struct drain_options drain = {
        .parts = parts, .links = &d->link, .nlinks = 1, .lent = lanes, .spares_kept = true};
    d->drain = drain_new(&drain);
    if (d->drain == NULL) {
        free(d);
        return NULL;
    }
    return d;
}

void direct_free(struct direct *d)
{
    if (d == NULL)
        return;
    drain_free(d->drain);
    free(d);
}

void direct_note(struct direct *d)
{
    int64_t since_us;
    const char *id = drain_oldest(d->drain, &since_us);
    bool late = !drain_running(d->drain) || clock_mono_us() - d->began_us > MOMENT_US;
    if (id != NULL && late)
        overdue_note(d->overdue, since_us, id, drain_heard_us(d->drain));
}

static void on_pass(void *arg, const struct drain_result *result)
{
    struct direct *d = arg;
    if (result->ok && parts_degraded(d->parts) &&
        !d->stopping) /* all that was due when it began is done */
        overdue_note(d->overdue, 0, "", d->began_us);
    if (result->ok)
        d->parts->careful = false; /* it has come to the end of what a pause has left */
    d->done(d->arg, result);
}

void direct_run(struct direct *d, int64_t min_overdue_us,
                void (*done)(void *arg, const struct drain_result *result), void *arg)
{
    assert(!drain_running(d->drain) && min_overdue_us >= 0);
    d->began_us = clock_mono_us();
    d->done = done;
    d->arg = arg;
    drain_run(d->drain, min_overdue_us > 0 ? d->began_us - min_overdue_us : DRAIN_NOW, 0, on_pass,
              d);
}

void direct_stop(struct direct *d)
{
    d->stopping = true;
    drain_stop(d->drain);
}
