/* What --explain asks about the first-run limit: of sweepers that hold the queue, and by a limit of
 * its own. */
#include "app/explain_ask_private.h"

#include "config/config.h"
#include "link/pg_link.h"
#include "release/first_run.h"
#include "release/held.h"
#include "release/parts.h"
#include "store/statements.h"

#include <inttypes.h>
#include <stdio.h>

static void on_held(void *arg, const char *reason, const char *error)
{
    struct explain_ask *a = arg;
    if (!desk_answered(&a->desk))
        return;
    if (error == NULL)
        snprintf(a->facts.first_run, sizeof(a->facts.first_run), "%s", reason);
    desk_go_on(&a->desk);
}

/* A daemon knows of itself, and releases if it is not held. */
bool explain_ask_held(struct desk *d)
{
    return !explain_ask_of(d)->options.daemon && desk_has_redis(d) &&
           desk_asked(d, held_ask(d->parts->queue, on_held, d));
}

static void on_accepted(void *arg, const char *text, const char *error)
{
    struct explain_ask *a = arg;
    char mapping[FIRST_RUN_MAPPING_SIZE];
    if (!desk_answered(&a->desk))
        return;
    if (error == NULL && first_run_mapping(a->facts.config->queue, mapping) == 0)
        a->memory = first_run_remembered(text, mapping);
    desk_go_on(&a->desk);
}

/* There is a first-run limit, and nobody who has counted. */
static bool counts_first_run(const struct explain_ask *a)
{
    return !a->options.daemon && a->facts.first_run[0] == '\0' &&
           a->facts.config->first_run_limit >= 0;
}

bool explain_ask_accepted(struct desk *d)
{
    return counts_first_run(explain_ask_of(d)) && desk_has_redis(d) &&
           desk_asked(d, due_queue_accepted(d->parts->queue, on_accepted, d));
}

static void on_due(void *arg, const struct pg_answer *answer)
{
    struct explain_ask *a = arg;
    struct explain_facts *f = &a->facts;
    const struct pg_result *r = answer->status == PG_DONE ? answer->results[1] : NULL;
    int limit = f->config->first_run_limit;
    if (!desk_answered(&a->desk))
        return;
    if (r != NULL && pg_result_rows(r) == 1 && pg_result_columns(r) == 2 &&
        first_run_judge(limit, pg_result_int(r, 0, 0), f->config->yes, a->memory) == FIRST_RUN_STOP)
        snprintf(f->first_run, sizeof(f->first_run),
                 "more than %d %s due, the first-run limit, and nobody has accepted that", limit,
                 limit == 1 ? "reservation is" : "reservations are");
    desk_go_on(&a->desk);
}

bool explain_ask_first_run(struct desk *d)
{
    const struct explain_ask *a = explain_ask_of(d);
    char most[24];
    const char *params[] = {most};
    const struct ask_query query = {
        .statement = STATEMENT_DUE_FIRST, .nparams = 1, .params = params};
    snprintf(most, sizeof(most), "%" PRId64, (int64_t)a->facts.config->first_run_limit + 1);
    return counts_first_run(a) && a->memory != FIRST_RUN_ACCEPTED && explain_is_active(d) &&
           desk_ask(d, &query, 1, on_due);
}

void explain_own_first_run(struct explain_ask *a)
{
    const struct first_run *own = a->desk.parts->first_run;
    if (a->options.daemon && first_run_stopped(own))
        snprintf(a->facts.first_run, sizeof(a->facts.first_run), "%s", first_run_reason(own));
}
