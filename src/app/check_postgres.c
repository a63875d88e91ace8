/* --check-config: what the database is like: the steps in their order. */
#include "app/check_postgres.h"

#include "app/check_steps.h"
#include "app/context.h"
#include "link/pg_link.h"
#include "store/mapping.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_statements(void *arg, const char *error)
{
    struct check_database *c = arg;
    if (error != NULL) {
        check_fail(c->report, "%s", error);
        check_end(c);
        return;
    }
    check_ok("tables, columns and grants");
    double offset_s = (double)server_clock_host_offset_us(&c->context->parts.pg_clock) / 1e6;
    if (offset_s > 1 || offset_s < -1)
        check_note("Postgres's clock is %+.3f s from this host's; Postgres's decides", offset_s);
    if (!statements_types(c->context->parts.statements)->expires_has_zone &&
        strstr(c->time_zone, "UTC") == NULL)
        check_note(
            "%s.%s has no time zone and is read as UTC, and the database's zone is %s: if the "
            "API writes local times there, releases come early or late",
            mapping_name_text(NAME_RESERVATIONS), mapping_name_text(NAME_EXPIRES_AT), c->time_zone);
    check_next(c);
}

static void load(struct check_database *c)
{
    if (statements_load(c->context->parts.statements, c->link, &c->context->parts.pg_clock,
                        on_statements, c) != 0)
        check_lost(c, "the connection was lost");
}

/* Each looks at what the ones before it found to be usable. */
static check_step *const steps[] = {
    check_server,     /* who we are there, and whether there is room */
    check_tables,     /* without the tables nothing else can be asked */
    load,             /* what follows is made of the statements */
    check_guards,     /* policies, triggers, rules */
    check_seen,       /* what policies hide */
    check_statements, /* whether Postgres takes each of them */
    check_states,     /* whether a row may become released */
    check_rows,       /* what the active rows are like */
    check_doubled,    /* products with several counters */
    check_due,        /* what would be released now */
    check_indexes,    /* advice */
    NULL,
};

void check_postgres_begin(struct check_database *c)
{
    int version = pg_link_server_version(c->link);
    c->begun = true;
    c->steps = steps;
    snprintf(c->role, sizeof(c->role), "CURRENT_USER"); /* until it is known */
    c->tables[0] = pg_link_quote_ident(c->link, mapping_name_text(NAME_RESERVATIONS));
    c->tables[1] = pg_link_quote_ident(c->link, mapping_name_text(NAME_INVENTORY));
    check_ok("Postgres %d.%d at %s", version / 10000, version % 10000,
             context_postgres(c->context));
    if (c->tables[0] == NULL || c->tables[1] == NULL)
        check_lost(c, "out of memory");
    else
        check_next(c);
}

void check_postgres_clear(struct check_database *c)
{
    check_states_clear(c);
    free(c->tables[0]);
    free(c->tables[1]);
}
