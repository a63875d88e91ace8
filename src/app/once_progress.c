/* How far --once has come, on a terminal. */
#include "app/once_progress.h"

#include "app/context.h"
#include "app/progress.h"
#include "base/bar.h"
#include "base/clock.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/pg_link.h"
#include "release/drain.h"
#include "release/release.h"
#include "store/ask.h"
#include "store/statements.h"

#include <stdlib.h>

/* Where releases begin and end in the whole; then what others have locked is tried again. */
#define BEGIN 0.02
#define END 0.98

struct once_progress {
    struct context *context;
    const char *queue;
    struct progress *shown;
    struct pg_link *link; /* that counts */
    const struct drain *drain;
    int64_t began_us, releasing_us, again_us; /* of the phases; 0: not yet */
    int64_t released;
    int64_t before; /* released when it was counted */
    int64_t due;    /* 0: not counted */
    bool asked;
};

static void read_bar(void *arg, struct bar *bar)
{
    struct once_progress *p = arg;
    const struct drain_result *passes = p->drain != NULL ? drain_so_far(p->drain) : NULL;
    bar->queue = p->queue;
    if (passes == NULL) {
        *bar = (struct bar){.queue = p->queue, .phase = "connecting", .to = BEGIN};
        bar->phase_began_us = p->began_us;
    } else if (passes->locked == 0) {
        bar->phase = "releasing";
        bar->from = BEGIN;
        bar->to = END;
        bar->done = p->released;
        bar->total = p->due > 0 ? p->due + p->before : 0;
        bar->phase_began_us = p->releasing_us;
    } else {
        if (p->again_us == 0)
            p->again_us = clock_mono_us();
        bar->phase = "locked by others";
        bar->from = END;
        bar->to = 1;
        bar->phase_began_us = p->again_us;
    }
}

static void on_counted(void *arg, const struct pg_answer *answer)
{
    struct once_progress *p = arg;
    if (answer->status == PG_DONE)
        p->due = pg_result_int(answer->results[0], 0, 0);
}

static void count(struct once_progress *p)
{
    const struct ask_query query = {.statement = STATEMENT_DUE_COUNT};
    const struct ask_options options = {.statements = p->context->parts.statements,
                                        .clock = &p->context->parts.pg_clock,
                                        .link = p->link,
                                        .deadline_us = MINUTE_US,
                                        .reads = true};
    if (p->asked || p->drain == NULL || !pg_link_up(p->link))
        return;
    p->asked = true;
    p->before = p->released;
    if (ask_send(&options, &query, 1, on_counted, p) != 0)
        p->before = 0;
}

static void on_postgres(void *arg, bool up, const char *reason)
{
    (void)up;
    (void)reason;
    count(arg);
}

struct once_progress *once_progress_new(struct context *context, const char *queue)
{
    struct once_progress *p = progress_wanted() ? calloc(1, sizeof(*p)) : NULL;
    const struct pg_link_options options = {
        .source = context->parts.postgres,
        .application_name = "reservation-sweeper once",
        .read_only_ok = true,
        .on_state = on_postgres,
        .arg = p,
    };
    if (p == NULL)
        return NULL;
    p->context = context;
    p->queue = queue;
    p->began_us = clock_mono_us();
    p->link = pg_link_new(context->parts.loop, &options);
    p->shown = progress_new(context->parts.loop, read_bar, p);
    if (p->link == NULL || p->shown == NULL) {
        once_progress_free(p);
        return NULL;
    }
    pg_link_start(p->link);
    return p;
}

void once_progress_free(struct once_progress *p)
{
    if (p == NULL)
        return;
    pg_link_free(p->link);
    progress_free(p->shown);
    free(p);
}

void once_progress_begin(struct once_progress *p, const struct drain *drain)
{
    if (p == NULL)
        return;
    p->drain = drain;
    p->releasing_us = clock_mono_us();
    count(p);
}

void once_progress_end(struct once_progress *p)
{
    if (p == NULL)
        return;
    progress_free(p->shown);
    p->shown = NULL;
}

void once_progress_item(void *arg, const struct item *item, bool last)
{
    struct once_progress *p = arg;
    (void)last;
    p->released += item->outcome == OUTCOME_RELEASED;
}
