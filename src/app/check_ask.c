/* --check-config: asks the database one question after the other, and walks the steps. */
#include "app/check_ask.h"

#include "app/context.h"
#include "base/time_units.h"
#include "link/pg_link.h"
#include "store/statements.h"

#include <stdlib.h>
#include <string.h>

/* Longer than the server allows itself: then the connection is dead. */
#define DEADLINE_US (7 * SECOND_US)

static const char settings[] =
    PG_SETTINGS_3(PG_SET("transaction_read_only", "'on'"), PG_SET("lock_timeout", "'3s'"),
                  PG_SET("statement_timeout", "'5s'"));

void check_next(struct check_database *c)
{
    c->which = 0;
    if (c->steps[c->step] != NULL)
        c->steps[c->step++](c);
    else
        check_end(c);
}

void check_end(struct check_database *c)
{
    check_done(c->report, CHECK_POSTGRES);
}

void check_lost(struct check_database *c, const char *reason)
{
    check_fail(c->report, "Postgres at %s does not answer: %s", context_postgres(c->context),
               reason);
    check_end(c);
}

static void on_blocker(void *arg, const struct pg_answer *answer)
{
    struct check_database *c = arg;
    const struct pg_result *r = answer->status == PG_DONE ? answer->results[0] : NULL;
    if (r == NULL || pg_result_rows(r) != 1)
        check_fail(c->report,
                   "a lock that lasts for longer than 3 s keeps a statement from beginning: the "
                   "locks are in pg_locks");
    else if (pg_result_null(r, 0, 1))
        check_fail(
            c->report,
            "table %s is locked by a prepared transaction (%s): nothing is released until it "
            "ends, see pg_prepared_xacts",
            pg_result_text(r, 0, 0), pg_result_text(r, 0, 4));
    else
        check_fail(c->report,
                   "table %s is locked by pid %s (user \"%s\", application \"%s\", %s) for %s s: "
                   "nothing is released until that transaction ends",
                   pg_result_text(r, 0, 0), pg_result_text(r, 0, 1), pg_result_text(r, 0, 2),
                   pg_result_text(r, 0, 3), pg_result_text(r, 0, 4),
                   pg_result_null(r, 0, 5) ? "an unknown number of" : pg_result_text(r, 0, 5));
    check_end(c);
}

static void ask_for_blocker(struct check_database *c)
{
    const char *params[] = {c->tables[0], c->tables[1]};
    const struct pg_query query = {
        .sql = question_text(QUESTION_TABLE_BLOCKER), .nparams = 2, .params = params};
    if (pg_link_send(c->link, &query, 1, DEADLINE_US, on_blocker, c) != 0)
        check_lost(c, "the connection was lost");
}

static void on_answer(void *arg, const struct pg_answer *answer)
{
    struct check_database *c = arg;
    if (answer->status == PG_UNKNOWN)
        check_lost(c, answer->message);
    else if (strcmp(answer->sqlstate, "55P03") == 0)
        ask_for_blocker(c);
    else
        c->answered(c, answer->status == PG_DONE ? answer->results[1] : NULL, answer);
}

void check_ask(struct check_database *c, const char *sql, int nparams, const char *const *params,
               check_answer_cb *answered)
{
    const struct pg_query queries[] = {{.sql = settings},
                                       {.sql = sql, .nparams = nparams, .params = params}};
    c->answered = answered;
    if (sql == NULL || pg_link_send(c->link, queries, 2, DEADLINE_US, on_answer, c) != 0)
        check_lost(c, "the connection was lost");
}

void check_ask_template(struct check_database *c, enum question_id which, check_answer_cb *answered)
{
    char *sql = question_render(which, statements_types(c->context->parts.statements), c->link);
    check_ask(c, sql, 0, NULL, answered);
    free(sql);
}
