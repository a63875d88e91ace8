/* What a list asks Postgres: what is due, who has it locked, and of which products it is. */
#include "app/desk_list_private.h"

#include "app/explain_read.h"
#include "base/time_units.h"
#include "config/queue.h"
#include "link/pg_array.h"
#include "release/parts.h"
#include "store/mapping.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUE_MOST 10000 /* that are looked through, where not all of them are shown */
#define PRODUCTS_MOST 1000
#define LOCKED_MOST_ASKED 200

static struct desk_list *list_of(struct desk *d)
{
    return (struct desk_list *)d;
}

void desk_list_fail(struct desk_list *l, const char *what, const char *why)
{
    if (l->found.error[0] != '\0')
        return;
    snprintf(l->found.error, sizeof(l->found.error), "%s%s%s", what, why[0] != '\0' ? ": " : "",
             why);
    l->found.away = !desk_has_redis(&l->desk) || !desk_has_postgres(&l->desk);
}

void desk_list_unknown(struct desk_list *l, const char *what, const char *why)
{
    snprintf(l->found.unknown, sizeof(l->found.unknown), "%s: %s", what, why);
}

bool desk_list_well(const struct desk_list *l)
{
    return l->found.error[0] == '\0';
}

bool desk_list_shows(const struct desk_list *l, enum list_what what)
{
    return l->wish.act == DESK_SHOW && l->wish.what == what;
}

char *desk_list_ids(struct desk_list *l, size_t n)
{
    const struct desk_lines *lines = &l->found.lines;
    struct pg_array array = {0};
    l->n = lines->n - l->at < n ? lines->n - l->at : n;
    for (size_t i = 0; i < l->n; i++)
        pg_array_add(&array, lines->all[l->at + i].id, lines->all[l->at + i].id_len);
    return pg_array_finish(&array);
}

static const char *without_postgres(const struct desk_list *l)
{
    return l->desk.unusable ? "the database cannot be used as it is" : "Postgres is out of reach";
}

static void fail_of_postgres(struct desk_list *l)
{
    if (l->desk.locked)
        desk_list_fail(l, l->desk.postgres_error, "");
    else
        desk_list_fail(l, without_postgres(l), l->desk.postgres_error);
}

/* ---- what is due ---- */

static void due_refused(struct desk *d, const char *why)
{
    desk_list_fail(list_of(d), "what is due cannot be looked for in Postgres", why);
}

static void on_due(void *arg, const struct pg_answer *answer)
{
    struct desk_list *l = arg;
    const struct pg_result *r = answer->status == PG_DONE ? answer->results[1] : NULL;
    if (!desk_answered(&l->desk))
        return;
    if (r == NULL) {
        desk_refused(&l->desk, answer, due_refused);
        return;
    }
    if (pg_result_columns(r) != 3)
        due_refused(&l->desk, "an unexpected answer");
    for (int i = 0; desk_list_well(l) && i < pg_result_rows(r); i++) {
        struct desk_line *line =
            desk_lines_add(&l->found.lines, pg_result_text(r, i, 0), pg_result_len(r, i, 0));
        if (line == NULL)
            break;
        line->order_ms = pg_result_int(r, i, 1) / MS_US;
        if (!pg_result_null(r, i, 2))
            desk_line_product(line, pg_result_text(r, i, 2));
    }
    desk_go_on(&l->desk);
}

bool desk_find_due(struct desk *d)
{
    struct desk_list *l = list_of(d);
    const struct desk_wish *wish = &l->wish;
    bool all = desk_list_shows(l, LIST_DUE) && wish->product == NULL && wish->sqlstate == NULL;
    char most[24];
    const char *params[] = {"0", most};
    const struct ask_query query = {
        .statement = STATEMENT_LATE_ROWS, .nparams = 2, .params = params};
    if (!desk_list_shows(l, LIST_DUE) && !desk_list_shows(l, LIST_LOCKED))
        return false;
    snprintf(most, sizeof(most), "%zu", all ? wish->limit + 1 : DUE_MOST);
    if (desk_has_postgres(d) && desk_ask(d, &query, 1, on_due))
        return true;
    fail_of_postgres(l);
    return false;
}

/* ---- who has it locked ---- */

static size_t count_locked(const struct desk_list *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->found.lines.n; i++)
        n += l->found.lines.all[i].blocker != NULL;
    return n;
}

static void read_locked(struct desk_list *l, const struct pg_result *r)
{
    struct desk_lines *lines = &l->found.lines;
    for (int i = 0; i < pg_result_rows(r); i++) {
        int64_t n = pg_result_int(r, i, 0);
        struct desk_line *line =
            n >= 1 && (uint64_t)n <= l->n ? &lines->all[l->at + (size_t)n - 1] : NULL;
        struct explain_blocker blocker = {.since_us = 0};
        if (line == NULL)
            continue;
        explain_read_blocker(&blocker, r, i);
        if (!blocker.holder.known || explain_is_sweeper(&blocker) || line->blocker != NULL)
            continue;
        line->blocker = malloc(sizeof(blocker));
        if (line->blocker != NULL)
            *line->blocker = blocker;
    }
}

static void locked_refused(struct desk *d, const char *why)
{
    struct desk_list *l = list_of(d);
    desk_list_fail(l, "who holds a lock cannot be looked for in Postgres", why);
    l->at += l->n;
}

static void on_locked(void *arg, const struct pg_answer *answer)
{
    struct desk_list *l = arg;
    const struct pg_result *r = answer->status == PG_DONE ? answer->results[1] : NULL;
    if (!desk_answered(&l->desk))
        return;
    if (r == NULL) {
        desk_refused(&l->desk, answer, locked_refused);
        return;
    }
    if (pg_result_columns(r) != EXPLAIN_BLOCKER_COLUMNS)
        desk_list_fail(l, "who holds a lock cannot be looked for in Postgres",
                       "an unexpected answer");
    else
        read_locked(l, r);
    l->at += l->n;
    l->desk.step--; /* the same, for what follows */
    desk_go_on(&l->desk);
}

/* Leaves those that somebody has. */
static void drop_others(struct desk_list *l)
{
    struct desk_lines *lines = &l->found.lines;
    for (size_t i = 0; i < lines->n; i++)
        if (lines->all[i].blocker == NULL)
            lines->all[i].dropped = true;
}

bool desk_find_locked(struct desk *d)
{
    struct desk_list *l = list_of(d);
    if (!desk_list_shows(l, LIST_LOCKED) || !desk_list_well(l))
        return false;
    bool filters = l->wish.product != NULL || l->wish.sqlstate != NULL;
    if (l->at < l->found.lines.n && (filters || count_locked(l) <= l->wish.limit)) {
        char *ids = desk_list_ids(l, LOCKED_MOST_ASKED);
        const char *params[] = {ids};
        const struct ask_query query = {
            .statement = STATEMENT_BLOCKERS, .nparams = 1, .params = params};
        bool sent = ids != NULL && desk_has_postgres(d) && desk_ask(d, &query, 1, on_locked);
        free(ids);
        if (sent)
            return true;
        fail_of_postgres(l);
    }
    l->at = 0;
    drop_others(l);
    return false;
}

/* ---- products ---- */

static void on_products(void *arg, const struct pg_answer *answer)
{
    struct desk_list *l = arg;
    struct desk_lines *lines = &l->found.lines;
    const struct pg_result *r = answer->status == PG_DONE ? answer->results[1] : NULL;
    if (!desk_answered(&l->desk))
        return;
    if (r == NULL || pg_result_columns(r) != 2)
        desk_lost_postgres(&l->desk, r == NULL ? answer->message : "an unexpected answer");
    for (int i = 0; r != NULL && i < pg_result_rows(r); i++) {
        int64_t n = pg_result_int(r, i, 0);
        if (n >= 1 && (uint64_t)n <= l->n)
            desk_line_product(&lines->all[l->at + (size_t)n - 1], pg_result_text(r, i, 1));
    }
    l->at += l->n;
    l->desk.step--;
    desk_go_on(&l->desk);
}

/* The ids of Redis's are anything: those that can be none of this table never reach SQL. */
static bool skip_malformed(struct desk_list *l)
{
    const struct desk_lines *lines = &l->found.lines;
    enum id_kind kind = statements_types(l->desk.parts->statements)->id_kind;
    for (; l->at < lines->n; l->at++) {
        const struct desk_line *line = &lines->all[l->at];
        if (parse_id_valid(kind, line->id, line->id_len))
            return true;
    }
    return false;
}

/* How many follow that can be ids, without one that cannot. */
static size_t count_valid(const struct desk_list *l)
{
    const struct desk_lines *lines = &l->found.lines;
    enum id_kind kind = statements_types(l->desk.parts->statements)->id_kind;
    size_t n = 0;
    while (n < PRODUCTS_MOST && l->at + n < lines->n &&
           parse_id_valid(kind, lines->all[l->at + n].id, lines->all[l->at + n].id_len))
        n++;
    return n;
}

bool desk_find_products(struct desk *d)
{
    struct desk_list *l = list_of(d);
    bool known = desk_list_shows(l, LIST_DUE) || desk_list_shows(l, LIST_LOCKED);
    bool wanted = !known && (l->wish.act == DESK_SHOW || l->wish.product != NULL);
    if (!wanted || !desk_list_well(l) || l->found.lines.n == 0)
        return false;
    if (desk_has_postgres(d) && skip_malformed(l)) {
        char *ids = desk_list_ids(l, count_valid(l));
        const char *params[] = {ids};
        const struct ask_query query = {
            .statement = STATEMENT_PRODUCTS, .nparams = 1, .params = params};
        bool sent = ids != NULL && desk_ask(d, &query, 1, on_products);
        free(ids);
        if (sent)
            return true;
    }
    if (!desk_has_postgres(d) && l->wish.product != NULL)
        desk_list_fail(l, "products cannot be looked up in Postgres", d->postgres_error);
    else if (!desk_has_postgres(d))
        desk_list_unknown(l, without_postgres(l), d->postgres_error);
    l->at = 0;
    return false;
}
