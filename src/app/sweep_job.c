/* What --once does, inside the running daemon. */
#include "app/sweep_job.h"

#include "app/cleanup_log.h"
#include "app/queue_run.h"
#include "base/clock.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "release/breakers.h"
#include "release/drain.h"
#include "release/first_run.h"
#include "release/parts.h"
#include "release/pause.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>

#define CONNECT_US (5 * SECOND_US)
#define OUT_OF_REACH "Postgres is out of reach"
#define STATEMENTS_US (50 * MS_US) /* between looks whether a worker has made them */

struct sweep_job {
    struct parts *parts;
    struct pg_link *link;
    struct drain *drain; /* NULL: not begun */
    struct timer *turn;  /* the next step */
    struct cleanup cleanup;
    bool stopping, over;
    char reason[PG_REASON_SIZE]; /* why there is no connection */
    void (*done)(void *arg, const struct sweep_job_result *result);
    void *arg;
};

static void finish(struct sweep_job *j, const char *error, bool out_of_reach)
{
    const struct sweep_job_result result = {
        .error = error, .out_of_reach = out_of_reach, .cleanup = j->cleanup};
    j->over = true;
    timer_clear(j->turn);
    j->done(j->arg, &result);
}

static void on_drained(void *arg, const struct drain_result *result)
{
    struct sweep_job *j = arg;
    cleanup_take(&j->cleanup, result);
    if (!result->ok)
        finish(j, result->error, !pg_link_up(j->link) || result->paused);
    else if (j->stopping)
        finish(j, QUEUE_STOPPING, true);
    else
        finish(j, NULL, false);
}

static void start(struct sweep_job *j)
{
    const struct drain_options drain = {.parts = j->parts, .links = &j->link, .nlinks = 1};
    breakers_forget(j->parts->breakers); /* whoever asks has perhaps removed the cause */
    j->drain = drain_new(&drain);
    if (j->drain == NULL)
        finish(j, "out of memory", false);
    else
        drain_run(j->drain, DRAIN_NOW, DRAIN_LOCKED_US, on_drained, j);
}

/* Connected, or past the limit. */
static void on_turn(void *arg)
{
    struct sweep_job *j = arg;
    int64_t left_us = j->cleanup.began_us + CONNECT_US - clock_mono_us();
    const struct first_run *first = j->parts->first_run;
    const struct pause *pause = j->parts->pause;
    bool may = first_run_may_release(first) && pause_allows(pause);
    if (j->stopping)
        finish(j, QUEUE_STOPPING, true);
    else if (first_run_stopped(first))
        finish(j, first_run_reason(first), true);
    else if (pause_lasts(pause))
        finish(j, pause_reason(pause), true);
    else if (pg_link_up(j->link) && statements_ready(j->parts->statements) && may)
        start(j);
    else if (pg_link_up(j->link) && statements_problem(j->parts->statements)[0] != '\0')
        finish(j, statements_problem(j->parts->statements), true);
    else if (left_us <= 0)
        finish(j,
               j->reason[0] != '\0'  ? j->reason
               : may                 ? OUT_OF_REACH
               : pause_allows(pause) ? first_run_reason(first)
                                     : pause_reason(pause),
               true);
    else
        timer_after_us(j->turn, pg_link_up(j->link) ? STATEMENTS_US : left_us);
}

static void on_state(void *arg, bool up, const char *reason)
{
    struct sweep_job *j = arg;
    snprintf(j->reason, sizeof(j->reason), "%s%s", up ? "" : OUT_OF_REACH ": ", reason);
    if (up && !j->over && j->drain == NULL)
        timer_after_us(j->turn, 0);
}

struct sweep_job *sweep_job_new(struct parts *parts,
                                void (*done)(void *arg, const struct sweep_job_result *result),
                                void *arg)
{
    struct sweep_job *j = calloc(1, sizeof(*j));
    if (j == NULL)
        return NULL;
    const struct pg_link_options options = {
        .source = parts->postgres,
        .prepare = parts->config->prepare,
        .application_name = "reservation-sweeper sweep",
        .on_state = on_state,
        .arg = j,
    };
    j->parts = parts;
    j->done = done;
    j->arg = arg;
    j->cleanup.began_us = clock_mono_us();
    j->turn = timer_new(parts->loop, on_turn, j);
    j->link = pg_link_new(parts->loop, &options);
    if (j->turn == NULL || j->link == NULL) {
        sweep_job_free(j);
        return NULL;
    }
    pg_link_start(j->link);
    timer_after_us(j->turn, CONNECT_US);
    return j;
}

void sweep_job_stop(struct sweep_job *j)
{
    j->stopping = true;
    if (j->drain != NULL && drain_running(j->drain))
        drain_stop(j->drain);
    else if (!j->over)
        timer_after_us(j->turn, 0);
}

void sweep_job_free(struct sweep_job *j)
{
    if (j == NULL)
        return;
    pg_link_free(j->link);
    drain_free(j->drain);
    timer_free(j->turn);
    free(j);
}
