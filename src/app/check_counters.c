/* --check-config: what the counters are like. */
#include "app/check_refusal.h"
#include "app/check_steps.h"
#include "app/context.h"

#include "config/queue.h"
#include "link/pg_link.h"
#include "store/questions.h"
#include "store/statements.h"

#include <stdio.h>
#include <string.h>

static void on_doubled(struct check_database *c, const struct pg_result *r,
                       const struct pg_answer *answer)
{
    char key[256], sql_table[256], sql_key[512];
    const char *table = check_table(c, 1);
    check_key(c, key, sizeof(key));
    check_sql_table(c, 1, sql_table, sizeof(sql_table));
    check_sql_key(c, sql_key, sizeof(sql_key));
    if (r == NULL)
        check_refused(c, "the question for doubled counters", answer);
    else if (pg_result_rows(r) > 0)
        check_wrong(
            c, c->queue->stock.table.line,
            "%s %s has %s rows in table %s%s: nobody can tell which of them holds its "
            "reservations, which are refused; leave one, and CREATE UNIQUE INDEX ON %s (%s)",
            key, pg_result_text(r, 0, 0), pg_result_text(r, 0, 1), table,
            pg_result_rows(r) > 1 ? ", and others have several too" : "", sql_table, sql_key);
    else if (!c->stock_is_view)
        check_note(
            "no unique index of table %s keeps a key (%s) from having two rows, whatever else they "
            "hold and at any time: then its reservations would not be released; CREATE UNIQUE "
            "INDEX ON %s (%s)",
            table, key, sql_table, sql_key);
    check_next(c);
}

void check_doubled(struct check_database *c)
{
    if (c->tables[1] == NULL || statements_types(c->context->parts.statements)->counter_unique)
        check_next(c);
    else
        check_ask_template(c, QUESTION_DOUBLED, on_doubled);
}

/* The columns of sql/check_totals.sql. */
enum { LOOKED_AT, DIFFERENT, ONE_KEY };

static void on_totals(struct check_database *c, const struct pg_result *r,
                      const struct pg_answer *answer)
{
    const struct queue_stock *stock = &c->queue->stock;
    int64_t different = r != NULL ? pg_result_int(r, 0, DIFFERENT) : 0;
    if (r == NULL)
        check_refused(c, "the question for totals", answer);
    else if (different > 0 && different * 2 > pg_result_int(r, 0, LOOKED_AT))
        check_wrong(c, stock->total.line,
                    "%s of %s rows of table %s have a %s that is not the sum of %s and %s, %s for "
                    "one: leave `total` out, or name the column that is the sum",
                    pg_result_text(r, 0, DIFFERENT), pg_result_text(r, 0, LOOKED_AT),
                    check_table(c, 1), stock->total.text, stock->free.text, stock->held.text,
                    pg_result_text(r, 0, ONE_KEY));
    else if (different > 0)
        check_note("%s rows of table %s have a %s that is not the sum of %s and %s, %s for one: "
                   "--reconcile reports them",
                   pg_result_text(r, 0, DIFFERENT), check_table(c, 1), stock->total.text,
                   stock->free.text, stock->held.text, pg_result_text(r, 0, ONE_KEY));
    check_next(c);
}

void check_totals(struct check_database *c)
{
    const struct queue_stock *stock = &c->queue->stock;
    if (stock->total.text == NULL || stock->free.text == NULL || stock->held.text == NULL)
        check_next(c);
    else
        check_ask_template(c, QUESTION_TOTALS, on_totals);
}
