/* What the tokens of sql/ stand for: names and SQL of the queue's, and facts by which parts are
 * chosen.
 *
 * A statement is made out of parts (parts.c). What it says in braces is one of these, tried in this
 * order:
 * - A part, of the statement's own text or of sql/parts.sql, chosen by facts: what the queue and
 * the catalog say of the tables, and the form of the statement.
 * - A guard, {typed}: a condition that fails the statement when a column has another type than it
 *   was made for.
 * - A key of the counters: mapping_keys.c.
 * - SQL of the operator's, on lines of its own, as it is.
 * - A value: a type; the name of a table or column, quoted as an identifier.
 *
 * What must hold:
 * - Names reach SQL through libpq's quoting alone.
 * - All else is named with its schema (pg_catalog.now()), so that no search_path leads elsewhere:
 *   tests/integration/test_templates.py reads sql/, and the sources, for it.
 * - A statement is whole, or there is none: NULL when the link is down or memory runs out.
 * - An unknown token is an error of the program: an assert, which every start would meet, since
 *   all statements are made at once. */
#include "store/mapping.h"

#include "config/queue_stock.h"
#include "link/pg_link.h"
#include "store/also.h"
#include "store/counted.h"
#include "store/mapping_keys.h"
#include "store/parts.h"
#include "store/released.h"
#include "store/sql_texts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_token(const char *token, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(text, token, len) == 0;
}

void mapping_use_bytes(struct mapping_types *types)
{
    types->bytes = true;
    if (types->id_kind == ID_TEXT)
        types->id_kind = ID_BYTES;
}

bool mapping_looks_again(const struct mapping_types *types)
{
    return types->meddled || types->queue->nalso > 0 || types->queue->call.name != NULL;
}

bool mapping_allows_lean(const struct mapping_types *types)
{
    return mapping_allows_bulk(types) && !types->rows_hidden && !types->rows_divided &&
           !types->counters_divided;
}

bool mapping_allows_backlog(const struct mapping_types *types)
{
    return mapping_allows_lean(types);
}

/* Of the row as it was before, what RETURNING shows of the one afterwards. */
static bool keeps_what_is_read(const struct queue *q)
{
    const char *released = q->released.text;
    return !released_may_set(released, q->id.text) &&
           !released_may_set(released, q->expires_at.text) &&
           !released_may_set(released, q->stock.keys[0].hold.text) &&
           (q->quantity.text == NULL || !released_may_set(released, q->quantity.text));
}

bool mapping_allows_bulk(const struct mapping_types *types)
{
    const struct queue *q = types->queue;
    bool fits = q->keep.condition.text == NULL && q->stock.nkeys == 1 &&
                q->stock.free.text != NULL && q->stock.held.text != NULL &&
                q->released.text != NULL && q->nalso == 0 && q->expires_unit == QUEUE_EXPIRES_TIME;
    return fits && keeps_what_is_read(q) && !types->meddled && !types->counters_hidden &&
           types->counter_unique && types->whole_units;
}

/* The name that a token stands for, quoted; NULL: out of memory, or the link is down. */
static char *name_text(const struct queue *q, const char *token, size_t len, struct pg_link *link)
{
    const struct {
        const char *token, *text;
    } columns[] = {
        {"id", q->id.text},
        {"expires_at", q->expires_at.text},
        {"free", q->stock.free.text},
        {"held", q->stock.held.text},
        {"total_stock", q->stock.total.text},
        {"updated_at", "updated_at"},
    };
    if (is_token(token, len, "reservations"))
        return mapping_table(&q->table, link);
    if (is_token(token, len, "call"))
        return mapping_table(&q->call, link);
    if (is_token(token, len, "inventory"))
        return mapping_table(&q->stock.table, link);
    if (is_token(token, len, "reservations_text"))
        return mapping_table_literal(&q->table, link);
    if (is_token(token, len, "inventory_text"))
        return mapping_table_literal(&q->stock.table, link);
    if (is_token(token, len, "id_text"))
        return pg_link_quote_literal(link, q->id.text);
    if (is_token(token, len, "queue_text"))
        return pg_link_quote_literal(link, q->name);
    if (is_token(token, len, "zone"))
        return pg_link_quote_literal(link, q->time_zone.text);
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        if (is_token(token, len, columns[i].token))
            return pg_link_quote_ident(link, columns[i].text);
    assert(false); /* a template names something unknown */
    return NULL;
}

static int put_name(FILE *out, const struct queue *q, const char *token, size_t len,
                    struct pg_link *link)
{
    char *quoted = name_text(q, token, len, link);
    int rc = quoted == NULL || fputs(quoted, out) < 0 ? -1 : 0;
    free(quoted);
    return rc;
}

/* A condition that is true, costs nothing, and fails the statement when a column has another type
 * than it was made for. timestamp and timestamptz compare by an implicit cast that reads the
 * session's zone, so that nothing else would tell one from the other. Arrays as anyarray are cast
 * to nothing: when the statement is parsed there is an arrayoverlap for two of the same type only
 * (42883). The planner sees that nothing of it need be computed. */
static int put_guards(FILE *out, const struct mapping_types *types, struct pg_link *link)
{
    const struct {
        const char *column, *type;
    } guards[] = {{types->queue->id.text, types->id_type},
                  {types->queue->expires_at.text, types->expires_type}};
    int rc = fputs("(true", out) < 0 ? -1 : 0;
    for (size_t i = 0; i < sizeof(guards) / sizeof(guards[0]) && rc == 0; i++) {
        char *column = pg_link_quote_ident(link, guards[i].column);
        if (column == NULL || fprintf(out, " OR pg_catalog.arrayoverlap(ARRAY[r.%s], NULL::%s[])",
                                      column, guards[i].type) < 0)
            rc = -1;
        free(column);
    }
    return rc != 0 || fputc(')', out) == EOF ? -1 : 0;
}

/* SQL of the operator's: on lines of its own, so that a comment in it ends there. Returns 1 when
 * the token is no such piece. */
static int put_sql(FILE *out, const struct queue *q, const char *token, size_t len)
{
    if (is_token(token, len, "active"))
        return fprintf(out, "(\n%s\n)", q->active.text) < 0 ? -1 : 0;
    if (is_token(token, len, "counted"))
        return fprintf(out, "(\n%s\n)", queue_counted(q)) < 0 ? -1 : 0;
    if (is_token(token, len, "released"))
        return fprintf(out, "\n%s\n", q->released.text) < 0 ? -1 : 0;
    if (is_token(token, len, "keep_while"))
        return fprintf(out, "(\n%s\n)", q->keep.condition.text) < 0 ? -1 : 0;
    if (!is_token(token, len, "stock_set"))
        return 1;
    const char *set = q->stock.set.text;
    return set != NULL && fprintf(out, ",\n%s\n", set) < 0 ? -1 : 0;
}

static int put_quantity(FILE *out, const struct queue *q, struct pg_link *link)
{
    if (q->quantity.text == NULL)
        return fputc('1', out) == EOF ? -1 : 0;
    char *column = pg_link_quote_ident(link, q->quantity.text);
    int rc = column == NULL || fprintf(out, "r.%s", column) < 0 ? -1 : 0;
    free(column);
    return rc;
}

/* A statement in the making. */
struct making {
    const struct mapping_types *types;
    struct pg_link *link;
    struct counted counted;
};

/* Writes what a token that is no part stands for; -1 when memory ran out or the link is down. */
static int put_value(void *arg, FILE *out, const char *token, size_t len)
{
    const struct making *making = arg;
    const struct mapping_types *types = making->types;
    const struct queue *q = types->queue;
    int rc = put_sql(out, q, token, len);
    if (rc == 1)
        rc = mapping_keys_put(out, types, token, len, making->link);
    if (rc == 1)
        rc = also_put(out, types, token, len, making->link);
    if (rc == 1)
        rc = counted_put(out, types, &making->counted, token, len, making->link);
    if (rc != 1)
        return rc;
    if (is_token(token, len, "typed"))
        return put_guards(out, types, making->link);
    if (is_token(token, len, "quantity"))
        return put_quantity(out, q, making->link);
    const struct {
        const char *token;
        int64_t us;
    } durations[] = {{"after_us", q->after_us},
                     {"extend_us", q->keep.extend_us},
                     {"at_most_us", q->keep.at_most_us}};
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
        if (is_token(token, len, durations[i].token))
            return fprintf(out, "%lld", (long long)durations[i].us) < 0 ? -1 : 0;
    const char *text = is_token(token, len, "id_type")        ? types->id_cast
                       : is_token(token, len, "id_exact")     ? types->id_type
                       : is_token(token, len, "release_lock") ? MAPPING_RELEASE_LOCK
                                                              : NULL;
    if (text != NULL)
        return fputs(text, out) < 0 ? -1 : 0;
    return put_name(out, q, token, len, making->link);
}

static char *render(const char *text, struct making *making, unsigned form)
{
    const struct mapping_types *types = making->types;
    const struct queue *q = types->queue;
    bool keeps = q->keep.condition.text != NULL;
    bool zoned = types->expires_has_zone, time = q->expires_unit == QUEUE_EXPIRES_TIME;
    bool calls = q->call.name != NULL, counters = !(calls && (form & MAPPING_RELEASE) != 0);
    const struct parts_fact facts[] = {
        {"expires_zoned", zoned},
        {"zone_bends", time && !zoned && strcmp(q->time_zone.text, "UTC") != 0},
        {"bigint_times", !time},
        {"seconds", q->expires_unit == QUEUE_EXPIRES_S},
        {"after", q->after_us > 0},
        {"dated", types->dated},
        {"updated_zoned", types->updated_has_zone},
        {"expires_nullable", types->expires_nullable},
        {"id_nullable", types->id_nullable},
        {"counters_hidden", types->counters_hidden},
        {"meddled", types->meddled},
        {"id_unique", types->id_unique},
        {"divided", types->rows_divided},
        {"counters", counters && q->stock.nkeys > 0},
        {"composite", counters && q->stock.nkeys > 1},
        {"free", q->stock.free.text != NULL},
        {"held", q->stock.held.text != NULL},
        {"total", types->has_total_stock},
        {"units", q->quantity.text != NULL},
        {"deletes", q->deletes},
        {"also", q->nalso > 0},
        {"calls", calls},
        {"keeps", keeps},
        {"extends", keeps && q->keep.extend_us > 0},
        {"keep_ends", keeps && q->keep.ends},
        {"lean", (form & MAPPING_LEAN) != 0},
        {"waiting", (form & MAPPING_WAITING) != 0},
        {"next_page", (form & MAPPING_NEXT_PAGE) != 0},
        {"one_key", (form & MAPPING_ONE_KEY) != 0},
        {"sharer", making->counted.place > 0},
    };
    const struct parts parts = {.shared = sql_parts,
                                .facts = facts,
                                .n_facts = sizeof(facts) / sizeof(facts[0]),
                                .put_value = put_value,
                                .arg = making};
    return parts_render(text, &parts);
}

/* One sum for each of the queues that share the counters. */
static int put_sums(FILE *out, const struct mapping_types *types, unsigned form,
                    struct pg_link *link)
{
    int rc = 0;
    for (int i = 0; i <= types->queue->stock.nsharers && rc == 0; i++) {
        struct queue queue;
        struct mapping_types of = *types;
        struct making making = {&of, link, {.owner = types->queue, .place = i}};
        queue_with_keys_of(counted_queue(types->queue, i), types->queue, &queue);
        of.queue = &queue;
        char *sql = render(sql_stock_sum, &making, form);
        rc = sql == NULL || fprintf(out, "%s%s", i > 0 ? "\nUNION ALL\n" : "", sql) < 0 ? -1 : 0;
        free(sql);
    }
    return rc;
}

char *mapping_render(const char *text, const struct mapping_types *types, unsigned form,
                     struct pg_link *link)
{
    struct making making = {.types = types, .link = link};
    char *sums = NULL, *sql = NULL;
    size_t size = 0;
    if (strstr(text, "{sums}") == NULL)
        return render(text, &making, form);
    FILE *out = open_memstream(&sums, &size);
    int rc = out != NULL ? put_sums(out, types, form, link) : -1;
    if (out != NULL && fclose(out) == 0 && rc == 0) {
        making.counted.sums = sums;
        sql = render(text, &making, form);
    }
    free(sums);
    return sql;
}
