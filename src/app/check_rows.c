/* --check-config: what is in the tables. */
#include "app/check_refusal.h"
#include "app/check_steps.h"
#include "app/context.h"

#include "base/clock.h"
#include "base/iso_time.h"
#include "base/time_units.h"
#include "link/pg_link.h"
#include "store/mapping.h"
#include "store/questions.h"
#include "store/statements.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The columns of sql/check_rows.sql. */
enum { ACTIVE, NO_QUANTITY, NO_EXPIRY, NO_COUNTER, ROWS_COLUMNS };

/* With none active: is that a quiet moment, or is it called something else? */
static void on_statuses(struct check_database *c, const struct pg_result *r,
                        const struct pg_answer *answer)
{
    const char *active = mapping_name_text(NAME_ACTIVE);
    const char *column = mapping_name_text(NAME_STATUS);
    char list[512] = "";
    size_t used = 0;
    bool known = false, alike = false;
    if (r == NULL)
        check_refused(c, "the question for the states", answer);
    for (int i = 0; r != NULL && i < pg_result_rows(r) && used < sizeof(list); i++) {
        const char *status = pg_result_text(r, i, 0);
        known = known || strcmp(status, mapping_name_text(NAME_RELEASED)) == 0 ||
                strcmp(status, "committed") == 0;
        alike = alike || (strcasecmp(status, active) == 0 && strcmp(status, active) != 0);
        int n = snprintf(list + used, sizeof(list) - used, "%s%s%s%s (%s)", i > 0 ? ", " : "",
                         pg_result_null(r, i, 0) ? "NULL" : "'", status,
                         pg_result_null(r, i, 0) ? "" : "'", pg_result_text(r, i, 1));
        used += n > 0 ? (size_t)n : 0;
    }
    if (used > 0 && (alike || !known))
        check_fail(c->report,
                   "no row of table %s has %s = '%s', the only state that is ever released; there "
                   "are %s: the API must call it so",
                   mapping_name_text(NAME_RESERVATIONS), column, active, list);
    else if (used > 0)
        check_note("no row of table %s has %s = '%s' now; there are %s",
                   mapping_name_text(NAME_RESERVATIONS), column, active, list);
    check_next(c);
}

static void say_rows(struct check_database *c, const struct pg_result *r)
{
    const char *table = mapping_name_text(NAME_RESERVATIONS);
    const char *stock = mapping_name_text(NAME_INVENTORY);
    if (pg_result_int(r, 0, NO_QUANTITY) > 0)
        check_note(
            "%s active rows of table %s have no %s (NULL or NaN): their units cannot be given "
            "back, and they are refused",
            pg_result_text(r, 0, NO_QUANTITY), table, mapping_name_text(NAME_QUANTITY));
    if (pg_result_int(r, 0, NO_EXPIRY) > 0)
        check_note("%s active rows of table %s have no %s (NULL): they are never due",
                   pg_result_text(r, 0, NO_EXPIRY), table, mapping_name_text(NAME_EXPIRES_AT));
    if (pg_result_int(r, 0, NO_COUNTER) == 0)
        return;
    if (statements_types(c->context->parts.statements)->counters_hidden)
        check_fail(
            c->report,
            "%s active rows are of products of which role %s sees no row in table %s, whose row "
            "security is in force: they are refused; let its policies show them",
            pg_result_text(r, 0, NO_COUNTER), c->role, stock);
    else
        check_note(
            "%s active rows are of products that have no row in table %s: they are released, "
            "and there is nothing to give back to",
            pg_result_text(r, 0, NO_COUNTER), stock);
}

static void on_rows(struct check_database *c, const struct pg_result *r,
                    const struct pg_answer *answer)
{
    if (r == NULL || pg_result_columns(r) != ROWS_COLUMNS) {
        check_refused(c, "the question for the active rows", answer);
        check_next(c);
        return;
    }
    say_rows(c, r);
    if (pg_result_int(r, 0, ACTIVE) == 0)
        check_ask_template(c, QUESTION_STATUSES, on_statuses);
    else
        check_next(c);
}

void check_rows(struct check_database *c)
{
    check_ask_template(c, QUESTION_ROWS, on_rows);
}

static void on_doubled(struct check_database *c, const struct pg_result *r,
                       const struct pg_answer *answer)
{
    const char *table = mapping_name_text(NAME_INVENTORY);
    const char *key = mapping_name_text(NAME_STOCK_PRODUCT_ID);
    if (r == NULL)
        check_refused(c, "the question for doubled counters", answer);
    else if (pg_result_rows(r) > 0)
        check_fail(c->report,
                   "%s %s has %s rows in table %s%s: nobody can tell which of them holds its "
                   "reservations, which are refused; leave one, and CREATE UNIQUE INDEX ON %s (%s)",
                   key, pg_result_text(r, 0, 0), pg_result_text(r, 0, 1), table,
                   pg_result_rows(r) > 1 ? ", and others have several too" : "", table, key);
    else
        check_note(
            "no unique index of table %s has the key %s alone: a second row of a product would "
            "keep its reservations from being released; CREATE UNIQUE INDEX ON %s (%s)",
            table, key, table, key);
    check_next(c);
}

void check_doubled(struct check_database *c)
{
    if (statements_types(c->context->parts.statements)->counter_unique)
        check_next(c);
    else
        check_ask_template(c, QUESTION_DOUBLED, on_doubled);
}

static void on_oldest(struct check_database *c, const struct pg_result *r,
                      const struct pg_answer *answer)
{
    char text[ISO_TIME_SIZE];
    if (r == NULL || pg_result_rows(r) == 0) {
        check_ok("due now: %lld", (long long)c->ndue);
        if (r == NULL)
            check_refused(c, "the question for what is late", answer);
    } else {
        int64_t since_us = pg_result_int(r, 0, 1);
        int64_t age_us = server_clock_now_us(&c->context->parts.pg_clock) - since_us;
        check_ok("due now: %lld, the oldest since %s (%lld s ago)", (long long)c->ndue,
                 iso_time_seconds(since_us, text), (long long)(age_us / SECOND_US));
    }
    check_next(c);
}

static void on_due(struct check_database *c, const struct pg_result *r,
                   const struct pg_answer *answer)
{
    static const char *const params[] = {"0", "100"};
    c->ndue = r != NULL ? pg_result_int(r, 0, 0) : 0;
    if (r == NULL)
        check_refused(c, "the count of what is due", answer);
    else if (c->ndue == 0)
        check_ok("due now: none");
    if (c->ndue == 0)
        check_next(c);
    else
        check_ask(c, statements_text(c->context->parts.statements, STATEMENT_LATE_ROWS), 2, params,
                  on_oldest);
}

void check_due(struct check_database *c)
{
    check_ask(c, statements_text(c->context->parts.statements, STATEMENT_DUE_COUNT), 0, NULL,
              on_due);
}
