/* A reconciliation: its role, its connection, its phases in order, its end. */
#include "reconcile/reconcile.h"

#include "base/bar.h"
#include "base/clock.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "reconcile/bulk.h"
#include "reconcile/entries.h"
#include "reconcile/expired.h"
#include "reconcile/lookup.h"
#include "reconcile/recheck.h"
#include "reconcile/report.h"
#include "reconcile/role.h"
#include "reconcile/rows.h"
#include "reconcile/run.h"
#include "reconcile/seen.h"
#include "reconcile/stock.h"
#include "reconcile/verify.h"
#include "release/first_run.h"
#include "release/parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_TIMEOUT_US (5 * SECOND_US)
#define PROGRESS_US (10 * SECOND_US)

/* Counters come before releases, since a drifted one refuses them; claims and failures too, since a
 * release takes with it what Redis has of a reservation. */
static void recheck_all(struct reconcile *r);
static const struct {
    const char *name; /* for whoever asks how far it is */
    void (*start)(struct reconcile *r);
    double weight; /* how much of the time it takes, as a rule */
} phases[] = {
    {"waiting for the role", NULL, 2},
    {"stock counters", stock_start, 15},
    {"claims", entries_start_claims, 2},
    {"failures", entries_start_failed, 2},
    {"claims and failures again", recheck_all, 4},
    {"reservations", rows_start, 30},
    {"expired reservations", expired_start, 20},
    {"entries in Redis", entries_start_pending, 15},
    {"looking again", recheck_all, 8},
    {"queries of verify", verify_start, 2},
};

#define PHASES ((int)(sizeof(phases) / sizeof(phases[0])))

static void recheck_all(struct reconcile *r)
{
    recheck_drain(r, true, run_next);
}

/* ---- the end ---- */

static void finish(struct reconcile *r)
{
    timer_clear(r->waiting);
    timer_clear(r->progress);
    r->running = false;
    r->result.finished_us = clock_wall_us();
    r->result.duration_ms = (clock_mono_us() - r->began_us) / MS_US;
    report_end(r);
    r->done_cb(r->done_arg, &r->result);
}

/* Carries on outside the caller: the next phase, or the end when nothing is under way. */
static void on_turn(void *arg)
{
    struct reconcile *r = arg;
    if (!r->running)
        return;
    if (!r->ending && r->phase < PHASES) {
        phases[r->phase].start(r);
        return;
    }
    r->ending = true;
    if (!r->stopped)
        expired_stop(r);
    r->stopped = true;
    if (r->outstanding == 0 && !pg_link_busy(r->link) && !expired_busy(r) && role_stop(r))
        finish(r);
}

void reconcile_progress(const struct reconcile *r, struct bar *bar)
{
    double sum = 0, before = 0;
    int now = r->phase < PHASES ? r->phase : PHASES - 1;
    for (int i = 0; i < PHASES; i++) {
        before += i < now ? phases[i].weight : 0;
        sum += phases[i].weight;
    }
    bar->phase = phases[now].name;
    bar->done = r->done;
    bar->total = r->total;
    bar->from = before / sum;
    bar->to = (before + phases[now].weight) / sum;
    bar->phase_began_us = r->phase_began_us;
}

void reconcile_stop(struct reconcile *r)
{
    if (r->running)
        run_fail(r, "stopped");
}

/* ---- the beginning ---- */

static void on_begun(struct reconcile *r, const struct pg_result *rows)
{
    if (pg_result_rows(rows) != 1 || pg_result_columns(rows) != 4) {
        run_fail(r, "the first statement gave an unexpected answer");
        return;
    }
    int64_t now_us = clock_mono_us();
    r->clock_us = pg_result_int(rows, 0, 0);
    r->clock_began_us = now_us;
    server_clock_sample(&r->parts->pg_clock, r->clock_us, r->phase_began_us, now_us);
    r->active_rows = pg_result_int(rows, 0, 1);
    r->products = pg_result_int(rows, 0, 2);
    r->any_expired = pg_result_text(rows, 0, 3)[0] == 't';
    run_next(r);
}

/* All that is needed is there. */
static void begin(struct reconcile *r)
{
    if (r->begun_cb != NULL)
        r->begun_cb(r->done_arg);
    r->begun_cb = NULL;
    r->phase_began_us = clock_mono_us();
    run_ask(r, STATEMENT_BEGIN, 0, NULL, on_begun);
}

static void begin_if(struct reconcile *r, const struct first_run *f)
{
    if (first_run_may_release(f))
        begin(r);
    else
        run_fail(r, first_run_reason(f));
}

static void on_first_run(void *arg)
{
    struct reconcile *r = arg;
    if (run_answered(r, NULL))
        begin_if(r, r->first_run);
}

/* What a daemon may not release, a reconciliation inside it may not either. Without one it asks
 * itself, both servers. */
static void begin_if_allowed(struct reconcile *r)
{
    if (r->parts->first_run != NULL) {
        begin_if(r, r->parts->first_run);
        return;
    }
    r->first_run = first_run_new(r->parts, false);
    if (r->first_run == NULL) {
        run_fail(r, "out of memory");
        return;
    }
    run_sent(r, 0);
    first_run_ask(r->first_run, r->link, on_first_run, r);
}

static void on_statements(void *arg, const char *error)
{
    struct reconcile *r = arg;
    if (r->ending)
        timer_after_us(r->turn, 0);
    else if (error != NULL)
        run_fail(r, error);
    else if (r->options.dry_run)
        begin(r);
    else
        begin_if_allowed(r);
}

/* As soon as the role is ours and Postgres is there: reads the catalog, since nobody may have read
 * it for a minute, then begins. */
static void try_to_begin(struct reconcile *r)
{
    if (r->ending || !role_is_ours(r) || !pg_link_up(r->link) || pg_link_busy(r->link))
        return;
    if (statements_load(r->parts->statements, r->link, &r->parts->pg_clock, on_statements, r) != 0)
        run_fail(r, "the connection to Postgres was lost");
}

static void on_waiting(void *arg)
{
    struct reconcile *r = arg;
    char error[PG_REASON_SIZE];
    if (r->phase > 0 || r->ending || pg_link_up(r->link))
        return;
    snprintf(error, sizeof(error), "Postgres is out of reach: %s", pg_link_last_error(r->link));
    run_fail(r, error);
}

static void on_postgres(void *arg, bool up, const char *reason)
{
    struct reconcile *r = arg;
    if (r->ending)
        timer_after_us(r->turn, 0);
    else if (up && r->phase == 0)
        try_to_begin(r);
    else if (!up && r->phase > 0)
        run_fail(r, reason);
}

static void on_progress(void *arg)
{
    struct reconcile *r = arg;
    if (r->phase < PHASES && !r->options.shown)
        report_progress(r, phases[r->phase].name);
    timer_after_us(r->progress, PROGRESS_US);
}

void reconcile_run(struct reconcile *r, event_cb *begun,
                   void (*done)(void *arg, const struct reconcile_result *result), void *arg)
{
    assert(!r->running && r->began_us == 0);
    r->running = true;
    r->began_us = r->phase_began_us = clock_mono_us();
    r->begun_cb = begun;
    r->done_cb = done;
    r->done_arg = arg;
    timer_after_us(r->waiting, CONNECT_TIMEOUT_US);
    timer_after_us(r->progress, PROGRESS_US);
    role_start(r);
    pg_link_start(r->link);
}

bool reconcile_running(const struct reconcile *r)
{
    return r->running;
}

/* What Redis's answers reach. */
static void free_rest(struct reconcile *r)
{
    recheck_free(r->recheck);
    rows_free(r->rows);
    bulk_free(r->bulk);
    entries_free(r->entries);
    first_run_free(r->first_run);
    free(r);
}

static int make_parts(struct reconcile *r)
{
    struct loop *loop = r->parts->loop;
    const struct pg_link_options options = {
        .source = r->parts->postgres,
        .application_name = "reservation-sweeper reconcile",
        .read_only_ok = r->options.dry_run,
        .on_state = on_postgres,
        .arg = r,
    };
    r->link = pg_link_new(loop, &options);
    r->turn = timer_new(loop, on_turn, r);
    r->waiting = timer_new(loop, on_waiting, r);
    r->progress = timer_new(loop, on_progress, r);
    r->seen = seen_new();
    if (r->link == NULL || r->turn == NULL || r->waiting == NULL || r->progress == NULL ||
        r->seen == NULL)
        return -1;
    if (role_new(r, try_to_begin) != 0 || recheck_new(r) != 0 || rows_new(r) != 0 ||
        entries_new(r) != 0 || expired_new(r) != 0 || stock_new(r) != 0)
        return -1;
    return 0;
}

struct reconcile *reconcile_new(struct parts *parts, const struct reconcile_options *options)
{
    struct reconcile *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->parts = parts;
    r->options = *options;
    r->result.dry_run = options->dry_run;
    r->destroy = free_rest;
    if (make_parts(r) != 0) {
        reconcile_free(r);
        return NULL;
    }
    return r;
}

void reconcile_free(struct reconcile *r)
{
    if (r == NULL)
        return;
    r->ending = true;
    r->running = false;
    pg_link_free(r->link); /* first: what it has under way answers to the others */
    expired_free(r->expired);
    stock_free(r->stock);
    lookup_free(r->lookup);
    role_free(r->role);
    seen_free(r->seen);
    timer_free(r->turn);
    timer_free(r->waiting);
    timer_free(r->progress);
    r->freed = true;
    if (r->outstanding == 0)
        free_rest(r); /* else with Redis's last answer */
}
