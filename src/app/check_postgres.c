/* --check-config: what the database is like: the steps in their order. */
#include "app/check_postgres.h"

#include "app/check_steps.h"
#include "app/context.h"
#include "config/queue.h"
#include "link/pg_link.h"
#include "store/mapping.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A time without a zone is read in one, and the database's sessions are in another: a name of UTC
 * is as good as any. */
static bool reads_other_zone(const struct check_database *c)
{
    const struct mapping_types *types = statements_types(c->context->parts.statements);
    const char *zone = c->queue->time_zone.text;
    if (c->queue->expires_unit != QUEUE_EXPIRES_TIME || types->expires_has_zone)
        return false;
    return strcmp(zone, c->time_zone) != 0 &&
           !(strstr(zone, "UTC") != NULL && strstr(c->time_zone, "UTC") != NULL);
}

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
    if (reads_other_zone(c))
        check_note(
            "%s.%s has no time zone and is read as %s, and the database's zone is %s: if the "
            "shop writes other times there, releases come early or late%s",
            check_table(c, 0), c->queue->expires_at.text, c->queue->time_zone.text, c->time_zone,
            c->queue->file != NULL ? "; `time_zone` says how they are read" : "");
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
    check_keep,       /* what policies hide from `keep_while` */
    check_states,     /* whether a row may become released */
    check_rows,       /* what the active rows are like */
    check_overlap,    /* rows that are active in two queues */
    check_doubled,    /* keys with several counters */
    check_totals,     /* whether a total is the sum that it should be */
    check_due,        /* what would be released now */
    check_indexes,    /* advice */
    NULL,
};

void check_postgres_begin(struct check_database *c)
{
    int version = pg_link_server_version(c->link);
    c->steps = steps;
    snprintf(c->role, sizeof(c->role), "CURRENT_USER"); /* until it is known */
    c->tables[0] = mapping_table(&c->queue->table, c->link);
    if (c->queue->stock.table.name != NULL)
        c->tables[1] = mapping_table(&c->queue->stock.table, c->link);
    check_ok("Postgres %d.%d at %s", version / 10000, version % 10000,
             context_postgres(c->context));
    if (c->tables[0] == NULL || (c->tables[1] == NULL && c->queue->stock.table.name != NULL))
        check_lost(c, "out of memory");
    else
        check_next(c);
}

void check_postgres_clear(struct check_database *c)
{
    check_states_clear(c);
    check_indexes_clear(c);
    free(c->tables[0]);
    free(c->tables[1]);
}
