/* The operator's own queries, one after the other, each in a transaction that can only read: after
 * all repairs, so that what they find is what remains. */
#include "reconcile/verify.h"

#include "base/json_text.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "reconcile/report.h"
#include "reconcile/run.h"
#include "release/parts.h"
#include "store/ask.h"
#include "store/fragment.h"

#include <stdio.h>
#include <string.h>

#define DEADLINE_US MINUTE_US

static void ask(struct reconcile *r);

/* A row as it came: JSON, or, where jansson cannot read it (a number that is too long), its text.
 */
static json_t *row_json(const char *text)
{
    json_t *row = json_loads(text, JSON_DECODE_ANY, NULL);
    return row != NULL ? row : json_text(text);
}

static void take(struct reconcile *r, const struct pg_result *rows)
{
    int query = (int)r->done + 1, n = pg_result_rows(rows);
    int64_t found = n > 0 ? pg_result_int(rows, 0, 0) : 0;
    r->result.counts[COUNT_VERIFY] += found;
    r->result.counts[COUNT_REMAINING] += found;
    for (int i = 0; i < n && report_wanted(r); i++)
        report_verify(r, query, row_json(pg_result_text(rows, i, 1)));
    if (found > n && report_wanted(r))
        log_event(LOG_WARN, "A query of verify has more rows than are reported", LOG_INT, "query",
                  (int64_t)query, LOG_INT, "found", found, LOG_INT, "reported", (int64_t)n,
                  LOG_END);
}

static void on_answer(void *arg, const struct pg_answer *answer)
{
    struct reconcile *r = arg;
    char error[PG_REASON_SIZE];
    if (r->ending) {
        timer_after_us(r->turn, 0);
        return;
    }
    if (answer->status == PG_DONE) {
        take(r, answer->results[1]);
        r->done++;
        ask(r);
        return;
    }
    fragment_verify_place(r->parts->config->queue, (int)r->done, error, sizeof(error));
    size_t len = strlen(error);
    (void)snprintf(error + len, sizeof(error) - len, "%s", answer->message);
    run_fail(r, error);
}

static void ask(struct reconcile *r)
{
    static const char settings[] =
        PG_SETTINGS_3(PG_SET("transaction_read_only", "'on'"), PG_SET("statement_timeout", "'50s'"),
                      PG_SET("lock_timeout", "'10s'"));
    if (run_ending(r))
        return;
    if (r->done == r->total) {
        run_next(r);
        return;
    }
    if (!statements_ready(r->parts->statements)) {
        run_fail(r, "the statements have to be made anew");
        return;
    }
    const struct ask_query queries[] = {
        {.sql = settings}, {.sql = statements_verify(r->parts->statements, (int)r->done)}};
    const struct ask_options options = {.statements = r->parts->statements,
                                        .clock = &r->parts->pg_clock,
                                        .link = r->link,
                                        .deadline_us = DEADLINE_US,
                                        .reads = true};
    if (ask_send(&options, queries, 2, on_answer, r) != 0)
        run_fail(r, "the connection to Postgres was lost");
}

void verify_start(struct reconcile *r)
{
    r->total = r->parts->config->queue->nverify;
    ask(r);
}
