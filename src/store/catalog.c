/* What the database says of the tables and columns that are used.
 *
 * One statement reads all of it (sql/catalog.sql), a row for each column, in the order of `columns`
 * below. Three functions stand one upon the other:
 * - catalog_read makes a struct of the answer: facts, not yet judged.
 * - catalog_types says what statements have to be made for, or in one sentence why the tables
 *   cannot be used as they are.
 * - catalog_changed says whether anything that is used differs from before, and tells the operator
 *   what that is.
 *
 * The last two judge by the same struct, so that nothing can make other statements without being
 * seen as a change. mapping_types borrows its texts: it must live as long as the statements. */
#include "store/catalog.h"

#include "base/log.h"
#include "link/pg_array.h"
#include "link/pg_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The columns that are asked for, in the order of the answer. */
static const struct {
    enum mapping_name table, column;
    bool written;
} columns[CATALOG_COLUMNS] = {
    {NAME_RESERVATIONS, NAME_ID, false},
    {NAME_RESERVATIONS, NAME_PRODUCT_ID, false},
    {NAME_RESERVATIONS, NAME_QUANTITY, false},
    {NAME_RESERVATIONS, NAME_EXPIRES_AT, false},
    {NAME_RESERVATIONS, NAME_STATUS, true},
    {NAME_RESERVATIONS, NAME_UPDATED_AT, true},
    {NAME_INVENTORY, NAME_STOCK_PRODUCT_ID, false},
    {NAME_INVENTORY, NAME_AVAILABLE_STOCK, true},
    {NAME_INVENTORY, NAME_RESERVED_STOCK, true},
    {NAME_INVENTORY, NAME_STOCK_UPDATED_AT, true},
    {NAME_INVENTORY, NAME_TOTAL_STOCK, false},
};

enum {
    COL_ID = 0,
    COL_QUANTITY = 2,
    COL_EXPIRES = 3,
    COL_UPDATED = 5,
    COL_STOCK_PRODUCT = 6,
    COL_AVAILABLE = 7,
    COL_RESERVED = 8,
    COL_STOCK_UPDATED = 9,
    COL_TOTAL_STOCK = 10
};

/* What the answer says of each (sql/catalog.sql). */
enum {
    FACT_KIND,
    FACT_FOUND,
    FACT_READABLE,
    FACT_WRITABLE,
    FACT_CLOCK,
    FACT_TYPE,
    FACT_NULLABLE,
    FACT_UNIQUE,
    FACT_ROW_SECURITY,
    FACT_MEDDLED,
    FACT_EXACT,
    FACT_RELATION,
    FACT_RELKIND,
    FACT_BYTES,
    FACT_DEFERRED,
    FACT_DIVIDED,
    FACTS,
};

char *catalog_names(struct pg_link *link, bool tables)
{
    struct pg_array names = {0};
    for (int i = 0; i < CATALOG_COLUMNS; i++) {
        const char *name = mapping_name_text(tables ? columns[i].table : columns[i].column);
        char *element = tables ? pg_link_quote_ident(link, name) : strdup(name);
        if (element != NULL)
            pg_array_add(&names, element, strlen(element));
        names.failed = names.failed || element == NULL;
        free(element);
    }
    return pg_array_finish(&names);
}

static bool is_true(const struct pg_result *r, int row, int column)
{
    return pg_result_text(r, row, column)[0] == 't';
}

static void copy(char out[CATALOG_TYPE_MAX], const char *text)
{
    snprintf(out, CATALOG_TYPE_MAX, "%s", text);
}

int catalog_read(struct catalog *c, const struct pg_result *r)
{
    memset(c, 0, sizeof(*c));
    if (pg_result_rows(r) != CATALOG_COLUMNS || pg_result_columns(r) != FACTS)
        return -1;
    for (int i = 0; i < CATALOG_COLUMNS; i++) {
        struct catalog_column *column = &c->columns[i];
        column->exists = !pg_result_null(r, i, FACT_KIND);
        column->found = is_true(r, i, FACT_FOUND);
        column->readable = is_true(r, i, FACT_READABLE);
        column->writable = is_true(r, i, FACT_WRITABLE);
        column->nullable = is_true(r, i, FACT_NULLABLE);
        column->unique = is_true(r, i, FACT_UNIQUE);
        column->row_security = is_true(r, i, FACT_ROW_SECURITY);
        column->meddled = is_true(r, i, FACT_MEDDLED);
        column->deferred = is_true(r, i, FACT_DEFERRED);
        column->divided = is_true(r, i, FACT_DIVIDED);
        column->relkind = pg_result_text(r, i, FACT_RELKIND)[0];
        copy(column->kind, pg_result_text(r, i, FACT_KIND));
        copy(column->type, pg_result_text(r, i, FACT_TYPE));
        copy(column->exact, pg_result_text(r, i, FACT_EXACT));
        column->relation = pg_result_int(r, i, FACT_RELATION);
    }
    c->bytes = is_true(r, 0, FACT_BYTES);
    return 0;
}

int64_t catalog_clock_us(const struct pg_result *r)
{
    return pg_result_int(r, 0, FACT_CLOCK);
}

/* ---- judging ---- */

static int id_type(struct mapping_types *types, const char *kind)
{
    static const struct {
        const char *name;
        enum id_kind kind;
        const char *cast;
    } kinds[] = {
        {"uuid", ID_UUID, "pg_catalog.uuid"},
        {"text", ID_TEXT, "pg_catalog.text"},
        {"varchar", ID_TEXT, "pg_catalog.text"},
        {"bpchar", ID_TEXT, "pg_catalog.bpchar"},
        {"int8", ID_INT8, "bigint"},
        {"int4", ID_INT4, "bigint"},
        {"int2", ID_INT2, "bigint"},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, kind) == 0) {
            types->id_kind = kinds[i].kind;
            types->id_cast = kinds[i].cast;
            return 0;
        }
    }
    return -1;
}

static int time_type(bool *has_zone, const char *kind)
{
    *has_zone = strcmp(kind, "timestamptz") == 0;
    return *has_zone || strcmp(kind, "timestamp") == 0 ? 0 : -1;
}

/* Whether column number i is there and may be used; else -1 with the sentence. */
static int check_column(const struct catalog *c, int i, char *error, size_t size)
{
    const struct catalog_column *column = &c->columns[i];
    const char *table = mapping_name_text(columns[i].table);
    const char *name = mapping_name_text(columns[i].column);
    if (!column->found)
        snprintf(error, size, "there is no table %s in the search path", table);
    else if (!column->exists)
        snprintf(error, size, "table %s has no column %s", table, name);
    else if (columns[i].table == NAME_RESERVATIONS && strchr("vm", column->relkind) != NULL)
        snprintf(error, size, "%s is a view: its rows cannot be locked and released one by one",
                 table);
    else if (!column->readable)
        snprintf(error, size, "the grant to SELECT from table %s is missing", table);
    else if (columns[i].written && !column->writable)
        snprintf(error, size, "the grant to UPDATE %s.%s is missing", table, name);
    else
        return 0;
    return -1;
}

/* A time's type, in both its forms. */
static int check_time(const struct catalog *c, int i, bool *has_zone, const char **type,
                      char *error, size_t size)
{
    *type = c->columns[i].exact;
    if (time_type(has_zone, c->columns[i].kind) == 0)
        return 0;
    snprintf(error, size, "column %s.%s has the type %s: timestamptz and timestamp are understood",
             mapping_name_text(columns[i].table), mapping_name_text(columns[i].column),
             c->columns[i].kind);
    return -1;
}

static bool is_integer(const struct catalog_column *column)
{
    const char *kind = column->kind;
    return strcmp(kind, "int4") == 0 || strcmp(kind, "int8") == 0 || strcmp(kind, "int2") == 0;
}

/* A float and a numeric(9,-2) round what they are given. */
static bool holds_integers(const struct catalog_column *column)
{
    return is_integer(column) ||
           (strncmp(column->type, "numeric", 7) == 0 && strstr(column->type, ",-") == NULL);
}

/* What may stand between an UPDATE and the rows that it means. */
static void read_guards(const struct catalog *c, struct mapping_types *types)
{
    const struct catalog_column *of = c->columns;
    types->expires_nullable = of[COL_EXPIRES].nullable;
    types->rows_hidden = of[COL_ID].row_security;
    types->counters_hidden = of[COL_STOCK_PRODUCT].row_security;
    types->meddled = of[COL_ID].meddled || of[COL_STOCK_PRODUCT].meddled;
    types->deferred = of[COL_ID].deferred || of[COL_STOCK_PRODUCT].deferred;
    types->counter_unique = of[COL_STOCK_PRODUCT].unique;
    types->whole_units = is_integer(&of[COL_QUANTITY]) && holds_integers(&of[COL_AVAILABLE]) &&
                         holds_integers(&of[COL_RESERVED]);
    types->id_unique = of[COL_ID].unique;
    types->rows_divided = of[COL_ID].divided;
    types->counters_divided = of[COL_STOCK_PRODUCT].divided;
    types->product_type = of[COL_STOCK_PRODUCT].type;
}

int catalog_types(const struct catalog *c, struct mapping_types *types, char *error, size_t size)
{
    const struct catalog_column *total = &c->columns[COL_TOTAL_STOCK];
    memset(types, 0, sizeof(*types));
    for (int i = 0; i < CATALOG_COLUMNS; i++)
        if (i != COL_TOTAL_STOCK && check_column(c, i, error, size) != 0)
            return -1;
    types->id_type = c->columns[COL_ID].exact;
    read_guards(c, types);
    if (id_type(types, c->columns[COL_ID].kind) != 0) {
        snprintf(error, size,
                 "column %s.%s has the type %s: uuid, text, varchar, char, bigint, integer and "
                 "smallint are understood",
                 mapping_name_text(NAME_RESERVATIONS), mapping_name_text(NAME_ID),
                 c->columns[COL_ID].kind);
        return -1;
    }
    if (c->bytes)
        mapping_use_bytes(types);
    types->has_total_stock = total->exists && total->readable;
    if (check_time(c, COL_EXPIRES, &types->expires_has_zone, &types->expires_type, error, size) !=
            0 ||
        check_time(c, COL_UPDATED, &types->updated_has_zone, &types->updated_type, error, size) !=
            0 ||
        check_time(c, COL_STOCK_UPDATED, &types->stock_updated_has_zone, &types->stock_updated_type,
                   error, size) != 0)
        return -1;
    return 0;
}

/* ---- comparing ---- */

/* "timestamp with time zone not null", as a migration would write it. */
static const char *describe(const struct catalog_column *c, char *out, size_t size)
{
    if (!c->exists)
        return "none";
    snprintf(out, size, "%s%s", c->type, c->nullable ? "" : " not null");
    return out;
}

static void log_change(int i, const struct catalog_column *before, const struct catalog_column *now)
{
    char from[CATALOG_TYPE_MAX + 16], to[CATALOG_TYPE_MAX + 16];
    log_event(LOG_WARN, "A column that is used has changed; the statements follow it", LOG_STR,
              "table", mapping_name_text(columns[i].table), LOG_STR, "column",
              mapping_name_text(columns[i].column), LOG_STR, "from",
              describe(before, from, sizeof(from)), LOG_STR, "to", describe(now, to, sizeof(to)),
              LOG_END);
}

/* What an operator may have meant to change. */
static bool same_type(const struct catalog_column *a, const struct catalog_column *b)
{
    return a->exists == b->exists && a->nullable == b->nullable && strcmp(a->type, b->type) == 0 &&
           strcmp(a->exact, b->exact) == 0 && strcmp(a->kind, b->kind) == 0;
}

static bool same_rest(const struct catalog_column *a, const struct catalog_column *b)
{
    return a->relation == b->relation && a->relkind == b->relkind && a->found == b->found &&
           a->readable == b->readable && a->writable == b->writable && a->unique == b->unique &&
           a->row_security == b->row_security && a->meddled == b->meddled &&
           a->deferred == b->deferred && a->divided == b->divided;
}

bool catalog_changed(const struct catalog *before, const struct catalog *now)
{
    bool changed = before->bytes != now->bytes;
    for (int i = 0; i < CATALOG_COLUMNS; i++) {
        const struct catalog_column *b = &before->columns[i], *n = &now->columns[i];
        bool first = i == 0 || columns[i].table != columns[i - 1].table;
        bool retyped = !same_type(b, n);
        if (first && b->relation != n->relation)
            log_event(LOG_WARN, "A table that is used has been replaced by another", LOG_STR,
                      "table", mapping_name_text(columns[i].table), LOG_END);
        if (retyped)
            log_change(i, b, n);
        changed = changed || retyped || !same_rest(b, n);
    }
    return changed;
}
