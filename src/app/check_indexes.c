/* --check-config: what indexes make cheap or dear. */
#include "app/check_refusal.h"
#include "app/check_steps.h"

#include "link/pg_link.h"
#include "store/mapping.h"
#include "store/questions.h"

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

static void on_indexes(struct check_database *c, const struct pg_result *r,
                       const struct pg_answer *answer)
{
    if (r == NULL) {
        check_unknown("what indexes there are", answer);
    } else {
        struct indexes found = {false, false, false, false, false};
        found.by_product = c->stock_is_view;
        read_indexes(&found, r);
        advise(&found);
    }
    check_next(c);
}

void check_indexes(struct check_database *c)
{
    char tables[256];
    snprintf(tables, sizeof(tables), "{%s,%s}", mapping_name_text(NAME_RESERVATIONS),
             mapping_name_text(NAME_INVENTORY));
    const char *params[] = {tables};
    check_ask(c, question_text(QUESTION_INDEXES), 1, params, on_indexes);
}
