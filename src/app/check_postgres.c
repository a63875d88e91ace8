/* --check-config: what the database is like. */
#include "check_private.h"

#include "pg_link.h"
#include "sql_texts.h"
#include "statements.h"

#include <stdio.h>
#include <string.h>

/* What the indexes of an existing database make cheap or dear. */
struct indexes {
    bool by_id, by_product, due, status, expires;
};

static void read_indexes(struct indexes *x, const struct pg_result *r)
{
    for (int row = 0; row < pg_result_rows(r); row++) {
        bool reservations = pg_result_int(r, row, 0) == 1;
        const char *column = pg_result_text(r, row, 2);
        bool partial = !pg_result_null(r, row, 3);
        const char *predicate = pg_result_text(r, row, 3);
        if (!reservations) {
            if (!partial && strcmp(column, mapping_name_text(NAME_STOCK_PRODUCT_ID)) == 0)
                x->by_product = true;
        } else if (strcmp(column, mapping_name_text(NAME_ID)) == 0 && !partial) {
            x->by_id = true;
        } else if (strcmp(column, mapping_name_text(NAME_EXPIRES_AT)) == 0) {
            if (partial && strstr(predicate, mapping_name_text(NAME_ACTIVE)) != NULL)
                x->due = true;
            else
                x->expires = true;
        } else if (strcmp(column, mapping_name_text(NAME_STATUS)) == 0) {
            x->status = true;
        }
    }
}

static void advise(const struct indexes *x)
{
    const char *table = mapping_name_text(NAME_RESERVATIONS);
    const char *stock = mapping_name_text(NAME_INVENTORY);
    if (!x->by_id)
        check_note("no index of %s begins with %s: each release reads the whole table", table,
                   mapping_name_text(NAME_ID));
    if (!x->by_product)
        check_note("no index of %s begins with %s: each release reads the whole table", stock,
                   mapping_name_text(NAME_STOCK_PRODUCT_ID));
    if (!x->due)
        check_note("an index for what is due makes the feed and the scans cheap: CREATE INDEX "
                   "CONCURRENTLY ON %s (%s) WHERE %s = '%s'",
                   table, mapping_name_text(NAME_EXPIRES_AT), mapping_name_text(NAME_STATUS),
                   mapping_name_text(NAME_ACTIVE));
    if (x->status || x->expires)
        check_note("an index on %s%s%s of %s has to be maintained by each release; with the one "
                   "for what is due the sweeper needs neither",
                   x->status ? mapping_name_text(NAME_STATUS) : "",
                   x->status && x->expires ? " and " : "",
                   x->expires ? mapping_name_text(NAME_EXPIRES_AT) : "", table);
    if (x->by_id && x->by_product && x->due && !x->status && !x->expires)
        check_ok("indexes: nothing to gain");
}

static void on_indexes(void *arg, const struct pg_answer *answer)
{
    struct check *c = arg;
    if (answer->status != PG_DONE) {
        check_note("the indexes could not be read: %s", answer->message);
    } else {
        struct indexes found = {false, false, false, false, false};
        read_indexes(&found, answer->results[0]);
        advise(&found);
    }
    check_done(c, CHECK_POSTGRES);
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
    double offset_s = (double)server_clock_host_offset_us(&c->context.sweep.pg_clock) / 1e6;
    if (offset_s > 1 || offset_s < -1)
        check_note("Postgres's clock is %+.3f s from this host's; Postgres's decides", offset_s);
    char tables[256];
    snprintf(tables, sizeof(tables), "{%s,%s}", mapping_name_text(NAME_RESERVATIONS),
             mapping_name_text(NAME_INVENTORY));
    const char *params[] = {tables};
    const struct pg_query query = {.sql = sql_indexes, .nparams = 1, .params = params};
    if (pg_link_send(c->link, &query, 1, CHECK_LIMIT_US, on_indexes, c) != 0) {
        check_done(c, CHECK_POSTGRES);
    }
}

void check_postgres_begin(struct check *c)
{
    int version = pg_link_server_version(c->link);
    check_ok("Postgres %d.%d at %s", version / 10000, version % 10000, c->context.postgres);
    if (statements_load(c->context.sweep.statements, c->link, &c->context.sweep.pg_clock,
                        on_statements, c) != 0)
        on_statements(c, "the connection to Postgres was lost");
}
