/* --check-config: what the database is like. Question after question, each in a read-only
 * transaction that waits for no lock for long. */
#include "app/check_private.h"

#include "base/time_units.h"
#include "link/pg_link.h"
#include "store/mapping.h"
#include "store/questions.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer than the server allows itself: then the connection is dead. */
#define DEADLINE_US (7 * SECOND_US)

static const char settings[] =
    PG_SETTINGS_4(PG_SET("transaction_read_only", "'on'"), PG_SET("lock_timeout", "'3s'"),
                  PG_SET("statement_timeout", "'5s'"), PG_SET("jit", "'off'"));

/* Loading is a step of its own: what follows is made of the statements. */
static void load(struct check *c);

static void (*const steps[])(struct check *c) = {
    check_server, check_tables, load,          check_guards, check_seen,    check_statements,
    check_states, check_rows,   check_doubled, check_due,    check_indexes,
};

void check_postgres_next(struct check *c)
{
    c->pg.which = 0;
    if (c->pg.step < (int)(sizeof(steps) / sizeof(steps[0])))
        steps[c->pg.step++](c);
    else
        check_done(c, CHECK_POSTGRES);
}

static void lost(struct check *c, const char *reason)
{
    check_fail(c, "Postgres at %s does not answer: %s", c->context.postgres, reason);
    check_done(c, CHECK_POSTGRES);
}

static void on_blocker(void *arg, const struct pg_answer *answer)
{
    struct check *c = arg;
    const struct pg_result *r = answer->status == PG_DONE ? answer->results[0] : NULL;
    if (r == NULL || pg_result_rows(r) != 1)
        check_fail(c, "a lock that lasts for longer than 3 s keeps a statement from beginning: the "
                      "locks are in pg_locks");
    else if (pg_result_null(r, 0, 1))
        check_fail(
            c,
            "table %s is locked by a prepared transaction (%s): nothing is released until it "
            "ends, see pg_prepared_xacts",
            pg_result_text(r, 0, 0), pg_result_text(r, 0, 4));
    else
        check_fail(c,
                   "table %s is locked by pid %s (user \"%s\", application \"%s\", %s) for %s s: "
                   "nothing is released until that transaction ends",
                   pg_result_text(r, 0, 0), pg_result_text(r, 0, 1), pg_result_text(r, 0, 2),
                   pg_result_text(r, 0, 3), pg_result_text(r, 0, 4),
                   pg_result_null(r, 0, 5) ? "an unknown number of" : pg_result_text(r, 0, 5));
    check_done(c, CHECK_POSTGRES);
}

static void ask_for_blocker(struct check *c)
{
    const char *params[] = {c->pg.tables[0], c->pg.tables[1]};
    const struct pg_query query = {
        .sql = question_text(QUESTION_TABLE_BLOCKER), .nparams = 2, .params = params};
    if (pg_link_send(c->pg.link, &query, 1, DEADLINE_US, on_blocker, c) != 0)
        lost(c, "the connection was lost");
}

static void on_answer(void *arg, const struct pg_answer *answer)
{
    struct check *c = arg;
    if (answer->status == PG_UNKNOWN)
        lost(c, answer->message);
    else if (strcmp(answer->sqlstate, "55P03") == 0)
        ask_for_blocker(c);
    else
        c->pg.answered(c, answer->status == PG_DONE ? answer->results[1] : NULL, answer);
}

void check_ask(struct check *c, const char *sql, int nparams, const char *const *params,
               void (*answered)(struct check *c, const struct pg_result *r,
                                const struct pg_answer *answer))
{
    const struct pg_query queries[] = {{.sql = settings},
                                       {.sql = sql, .nparams = nparams, .params = params}};
    c->pg.answered = answered;
    if (sql == NULL || pg_link_send(c->pg.link, queries, 2, DEADLINE_US, on_answer, c) != 0)
        lost(c, "the connection was lost");
}

void check_ask_template(struct check *c, enum question_id which,
                        void (*answered)(struct check *c, const struct pg_result *r,
                                         const struct pg_answer *answer))
{
    char *sql = question_render(which, statements_types(c->context.parts.statements), c->pg.link);
    check_ask(c, sql, 0, NULL, answered);
    free(sql);
}

static void on_statements(void *arg, const char *error)
{
    struct check *c = arg;
    if (error != NULL) {
        check_fail(c, "%s", error);
        check_done(c, CHECK_POSTGRES);
        return;
    }
    check_ok("tables, columns and grants");
    double offset_s = (double)server_clock_host_offset_us(&c->context.parts.pg_clock) / 1e6;
    if (offset_s > 1 || offset_s < -1)
        check_note("Postgres's clock is %+.3f s from this host's; Postgres's decides", offset_s);
    if (!statements_types(c->context.parts.statements)->expires_has_zone &&
        strstr(c->pg.time_zone, "UTC") == NULL)
        check_note(
            "%s.%s has no time zone and is read as UTC, and the database's zone is %s: if the "
            "API writes local times there, releases come early or late",
            mapping_name_text(NAME_RESERVATIONS), mapping_name_text(NAME_EXPIRES_AT),
            c->pg.time_zone);
    check_postgres_next(c);
}

static void load(struct check *c)
{
    if (statements_load(c->context.parts.statements, c->pg.link, &c->context.parts.pg_clock,
                        on_statements, c) != 0)
        lost(c, "the connection was lost");
}

void check_postgres_begin(struct check *c)
{
    int version = pg_link_server_version(c->pg.link);
    c->pg.asked = true;
    snprintf(c->pg.role, sizeof(c->pg.role), "CURRENT_USER"); /* until it is known */
    c->pg.tables[0] = pg_link_quote_ident(c->pg.link, mapping_name_text(NAME_RESERVATIONS));
    c->pg.tables[1] = pg_link_quote_ident(c->pg.link, mapping_name_text(NAME_INVENTORY));
    check_ok("Postgres %d.%d at %s", version / 10000, version % 10000, c->context.postgres);
    if (c->pg.tables[0] == NULL || c->pg.tables[1] == NULL)
        lost(c, "out of memory");
    else
        check_postgres_next(c);
}

void check_postgres_clear(struct check *c)
{
    check_states_clear(c);
    free(c->pg.tables[0]);
    free(c->pg.tables[1]);
}
