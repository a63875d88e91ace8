/* How the parts of a run ask, fail and go on. */
#include "reconcile/run.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "link/loop.h"
#include "release/parts.h"
#include "store/ask.h"

#include <assert.h>
#include <stdio.h>

#define ASK_DEADLINE_US MINUTE_US

/* Of each transaction. $1: sorting is allowed. */
static const char settings[] =
    PG_SETTINGS_5(PG_SET("statement_timeout", "'50s'"), PG_SET("enable_sort", "$1"),
                  PG_SET("random_page_cost", "'1.1'"), PG_SET("work_mem", "'32MB'"),
                  PG_SET("max_parallel_workers_per_gather", "'0'"));

int64_t run_now_us(const struct reconcile *r)
{
    return server_clock_now_us(&r->parts->pg_clock);
}

bool run_ending(const struct reconcile *r)
{
    return r->ending;
}

void run_fail(struct reconcile *r, const char *error)
{
    if (r->error[0] == '\0')
        snprintf(r->error, sizeof(r->error), "%s", error[0] != '\0' ? error : "unknown error");
    r->ending = true;
    timer_after_us(r->turn, 0);
}

void run_next(struct reconcile *r)
{
    r->phase++;
    r->done = r->total = 0;
    r->phase_began_us = clock_mono_us();
    timer_after_us(r->turn, 0);
}

void run_sent(struct reconcile *r, int rc)
{
    if (rc == 0)
        r->outstanding++;
    else
        run_fail(r, "Redis went away");
}

bool run_answered(struct reconcile *r, const char *error)
{
    assert(r->outstanding > 0);
    r->outstanding--;
    if (r->freed) {
        if (r->outstanding == 0)
            r->destroy(r);
        return false;
    }
    if (r->ending) {
        timer_after_us(r->turn, 0);
        return false;
    }
    if (error != NULL)
        run_fail(r, error);
    return error == NULL;
}

static void on_asked(void *arg, const struct pg_answer *answer)
{
    struct reconcile *r = arg;
    if (r->ending)
        timer_after_us(r->turn, 0);
    else if (answer->status != PG_DONE)
        run_fail(r, answer->message);
    else
        r->answered(r, answer->results[1]);
}

void run_ask(struct reconcile *r, enum statement which, int nparams, const char *const *params,
             run_rows_cb *cb)
{
    if (!statements_ready(r->parts->statements)) {
        run_fail(r, "the statements have to be made anew");
        return;
    }
    const char *sorting[] = {which == STATEMENT_TIED_ROWS ? "off" : "on"};
    const struct ask_query queries[] = {
        {.sql = settings, .nparams = 1, .params = sorting},
        {.statement = which, .nparams = nparams, .params = params},
    };
    const struct ask_options options = {.statements = r->parts->statements,
                                        .clock = &r->parts->pg_clock,
                                        .link = r->link,
                                        .deadline_us = ASK_DEADLINE_US,
                                        .reads = true,
                                        .again = true};
    r->answered = cb;
    if (ask_send(&options, queries, 2, on_asked, r) != 0)
        run_fail(r, "the connection to Postgres was lost");
}
