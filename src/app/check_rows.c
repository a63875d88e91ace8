/* --check-config: what is in the tables. */
#include "app/check_refusal.h"
#include "app/check_steps.h"
#include "app/context.h"

#include "base/clock.h"
#include "base/iso_time.h"
#include "base/sql_scan.h"
#include "base/time_units.h"
#include "config/queue.h"
#include "link/pg_link.h"
#include "store/questions.h"
#include "store/statements.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The columns of sql/check_rows.sql. */
enum { ACTIVE, NO_UNITS, NO_EXPIRY, NO_COUNTER, NO_ID, IMPLAUSIBLE, ROWS_COLUMNS };

/* Whether a text of literals has this one, quoted, in this spelling or in any. */
static bool has_literal(const char *list, const char *literal, size_t len, bool any_spelling)
{
    for (const char *p = strchr(list, '\''); p != NULL; p = strchr(p + 1, '\'')) {
        bool same = any_spelling ? strncasecmp(p + 1, literal, len) == 0
                                 : strncmp(p + 1, literal, len) == 0;
        if (same && strncmp(p + 1 + strnlen(p + 1, len), "'", 1) == 0)
            return true;
    }
    return false;
}

/* Whether one of the literals of this SQL is a value that there is, or one but for capitals. */
static bool names_value(const char *sql, const char *values, bool but_for_capitals)
{
    struct sql_token token = {.kind = SQL_END};
    if (sql != NULL)
        token = sql_scan(&sql);
    for (; token.kind != SQL_END; token = sql_scan(&sql)) {
        const char *literal = token.at + 1;
        size_t len = token.len - 2;
        if (token.kind != SQL_LITERAL || token.at[0] != '\'')
            continue;
        bool same = has_literal(values, literal, len, false);
        if (but_for_capitals ? !same && has_literal(values, literal, len, true) : same)
            return true;
    }
    return false;
}

/* With none active: is that a quiet moment, or is it called something else? It is quiet where rows
 * have been released, or sold. */
static void on_values(struct check_database *c, const struct pg_result *r,
                      const struct pg_answer *answer)
{
    const struct queue *q = c->queue;
    char list[640] = "", active[256];
    size_t used = 0;
    check_sql(q->active.text, active, sizeof(active));
    if (r == NULL)
        check_refused(c, "the question for the values that there are", answer);
    for (int i = 0; r != NULL && i < pg_result_rows(r) && used < sizeof(list); i++) {
        int n = snprintf(list + used, sizeof(list) - used, "%s%s (%s)", i > 0 ? ", " : "",
                         pg_result_text(r, i, 0), pg_result_text(r, i, 1));
        used += n > 0 ? (size_t)n : 0;
    }
    bool known = names_value(q->released.text, list, false) ||
                 has_literal(list, "committed", strlen("committed"), false);
    if (used > 0 && (!known || names_value(q->active.text, list, true)))
        check_wrong(
            c, q->active.line,
            "no row of table %s is active, %s, and nothing else is ever released; there are "
            "%s of %s: write in `active` what the shop writes there",
            check_table(c, 0), active, list, c->columns);
    else if (used > 0)
        check_note("no row of table %s is active, %s now; there are %s of %s: if one of these is "
                   "what holds, write it in `active`, or it is never released",
                   check_table(c, 0), active, list, c->columns);
    check_next(c);
}

static void on_values_question(struct check_database *c, const struct pg_result *r,
                               const struct pg_answer *answer)
{
    if (r == NULL)
        check_unknown("what values there are", answer);
    if (r != NULL && pg_result_rows(r) == 1) {
        snprintf(c->columns, sizeof(c->columns), "%s", pg_result_text(r, 0, 0));
        check_ask(c, pg_result_text(r, 0, 1), 0, NULL, on_values);
    } else {
        check_next(c);
    }
}

static void say_counters(struct check_database *c, const struct pg_result *r)
{
    const char *stock = check_table(c, 1);
    if (pg_result_int(r, 0, NO_COUNTER) == 0)
        return;
    if (statements_types(c->context->parts.statements)->counters_hidden)
        check_wrong(
            c, c->queue->stock.table.line,
            "%s active rows are of products of which role %s sees no row in table %s, whose row "
            "security is in force: they are refused; let its policies show them",
            pg_result_text(r, 0, NO_COUNTER), c->role, stock);
    else
        check_note(
            "%s active rows are of products that have no row in table %s: they are released, "
            "and there is nothing to give back to",
            pg_result_text(r, 0, NO_COUNTER), stock);
}

static void say_rows(struct check_database *c, const struct pg_result *r)
{
    const struct queue *q = c->queue;
    const char *table = check_table(c, 0);
    int64_t active = pg_result_int(r, 0, ACTIVE), odd = pg_result_int(r, 0, IMPLAUSIBLE);
    if (pg_result_int(r, 0, NO_UNITS) > 0)
        check_note(
            "%s active rows of table %s have no %s (NULL or NaN): their units cannot be given "
            "back, and they are refused",
            pg_result_text(r, 0, NO_UNITS), table, q->quantity.text);
    if (pg_result_int(r, 0, NO_EXPIRY) > 0)
        check_note("%s active rows of table %s have no %s (NULL): they are never due",
                   pg_result_text(r, 0, NO_EXPIRY), table, q->expires_at.text);
    if (pg_result_int(r, 0, NO_ID) > 0)
        check_note("%s active rows of table %s have no %s (NULL): they are never due",
                   pg_result_text(r, 0, NO_ID), table, q->id.text);
    if (odd > 0 && odd * 2 > active - pg_result_int(r, 0, NO_EXPIRY))
        check_wrong(
            c, q->expires_at.line,
            "%lld of %lld active rows of table %s have an %s that is no moment from 2001 to "
            "9999 in %s: they are never due; is it `expires_unit: %s`?",
            (long long)odd, (long long)active, table, q->expires_at.text,
            q->expires_unit == QUEUE_EXPIRES_MS ? "milliseconds" : "seconds",
            q->expires_unit == QUEUE_EXPIRES_MS ? "s" : "ms");
    else if (odd > 0)
        check_note("%lld active rows of table %s have an %s that is no moment from 2001 to 9999: "
                   "they are never due",
                   (long long)odd, table, q->expires_at.text);
    say_counters(c, r);
}

/* Row security may be by tenant: whose rows are these? */
static void say_settings(struct check_database *c, const struct pg_result *r)
{
    const struct queue_settings *settings = &c->queue->settings;
    char list[512] = "";
    size_t used = 0;
    for (int i = 0; i < settings->n && used < sizeof(list); i++) {
        int n = snprintf(list + used, sizeof(list) - used, "%s%s = '%s'", i > 0 ? ", " : "",
                         settings->all[2 * i], settings->all[2 * i + 1]);
        used += n > 0 ? (size_t)n : 0;
    }
    if (used > 0)
        check_ok("with its settings (%s) role %s sees %s active rows of table %s", list, c->role,
                 pg_result_text(r, 0, ACTIVE), check_table(c, 0));
}

static void on_rows(struct check_database *c, const struct pg_result *r,
                    const struct pg_answer *answer)
{
    const char *params[] = {c->tables[0], c->queue->active.text};
    if (r == NULL || pg_result_columns(r) != ROWS_COLUMNS) {
        check_refused(c, "the question for the active rows", answer);
        check_next(c);
        return;
    }
    say_settings(c, r);
    say_rows(c, r);
    if (pg_result_int(r, 0, ACTIVE) == 0)
        check_ask(c, question_text(QUESTION_VALUES), 2, params, on_values_question);
    else
        check_next(c);
}

void check_rows(struct check_database *c)
{
    check_ask_template(c, QUESTION_ROWS, on_rows);
}

/* More are not counted. */
#define DUE_MOST 100000

static void on_due(struct check_database *c, const struct pg_result *r,
                   const struct pg_answer *answer)
{
    char text[ISO_TIME_SIZE];
    int64_t due = r != NULL ? pg_result_int(r, 0, 0) : 0;
    const char *more = due > DUE_MOST ? "more than " : "";
    due = due > DUE_MOST ? DUE_MOST : due;
    if (r == NULL) {
        check_refused(c, "the count of what is due", answer);
    } else if (due == 0) {
        check_ok("due now: none");
    } else if (pg_result_null(r, 0, 1)) {
        check_ok("due now: %s%lld", more, (long long)due);
    } else {
        int64_t since_us = pg_result_int(r, 0, 1);
        int64_t age_us = server_clock_now_us(&c->context->parts.pg_clock) - since_us;
        check_ok("due now: %s%lld, the oldest since %s (%lld s ago)", more, (long long)due,
                 iso_time_seconds(since_us, text), (long long)(age_us / SECOND_US));
    }
    check_next(c);
}

void check_due(struct check_database *c)
{
    char most[24];
    const char *params[] = {most};
    snprintf(most, sizeof(most), "%d", DUE_MOST + 1);
    check_ask(c, statements_text(c->context->parts.statements, STATEMENT_DUE_FIRST), 1, params,
              on_due);
}
