/* What the database says of the tables and columns that are used.
 *
 * One statement reads all of it (sql/catalog.sql), a row for each column that the queue names, in
 * the order of catalog_list. Three functions stand one upon the other:
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
#include "config/queues.h"
#include "link/pg_link.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    FACT_KEY_UNIQUE,
    FACT_ROW_SECURITY,
    FACT_MEDDLED,
    FACT_EXACT,
    FACT_RELATION,
    FACT_RELKIND,
    FACT_BYTES,
    FACT_DEFERRED,
    FACT_DIVIDED,
    FACT_LOCKABLE,
    FACT_DELETABLE,
    FACT_GENERATED,
    FACT_TAKEN,
    FACT_THERE,
    FACTS,
};

/* The first column of this use; NULL: the queue has none. */
static const struct catalog_column *find(const struct catalog *c, enum catalog_use use)
{
    for (int i = 0; i < c->n; i++)
        if (c->names[i].use == use)
            return &c->columns[i];
    return NULL;
}

/* ... of those that each queue has. */
static const struct catalog_column *always(const struct catalog *c, enum catalog_use use)
{
    const struct catalog_column *column = find(c, use);
    assert(column != NULL);
    return column;
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
    if (pg_result_rows(r) != c->n || pg_result_columns(r) != FACTS)
        return -1;
    for (int i = 0; i < c->n; i++) {
        struct catalog_column *column = &c->columns[i];
        column->exists = !pg_result_null(r, i, FACT_KIND);
        column->found = is_true(r, i, FACT_FOUND);
        column->readable = is_true(r, i, FACT_READABLE);
        column->writable = is_true(r, i, FACT_WRITABLE);
        column->nullable = is_true(r, i, FACT_NULLABLE);
        column->unique = is_true(r, i, FACT_UNIQUE);
        column->key_unique = is_true(r, i, FACT_KEY_UNIQUE);
        column->row_security = is_true(r, i, FACT_ROW_SECURITY);
        column->meddled = is_true(r, i, FACT_MEDDLED);
        column->deferred = is_true(r, i, FACT_DEFERRED);
        column->divided = is_true(r, i, FACT_DIVIDED);
        column->lockable = is_true(r, i, FACT_LOCKABLE);
        column->deletable = is_true(r, i, FACT_DELETABLE);
        column->generated = is_true(r, i, FACT_GENERATED);
        column->taken = is_true(r, i, FACT_TAKEN);
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

/* A sentence about a line of the queues file, if there is one. */
__attribute__((format(printf, 5, 6))) static int
fail(const struct catalog *c, int line, char *error, size_t size, const char *format, ...)
{
    va_list args;
    queue_place(c->queue, line, error, size);
    size_t used = strlen(error);
    va_start(args, format);
    vsnprintf(error + used, size - used, format, args);
    va_end(args);
    return -1;
}

/* Of the built-in queue a total need not be there; what is called updated_at is used if it is. */
static bool is_optional(const struct catalog *c, int i)
{
    enum catalog_use use = c->names[i].use;
    return use == CATALOG_UPDATED || (use == CATALOG_TOTAL && c->queue->file == NULL);
}

static bool is_written(enum catalog_use use)
{
    return use == CATALOG_SET || use == CATALOG_FREE || use == CATALOG_HELD ||
           use == CATALOG_STOCK_SET;
}

/* One that is missing is rarely alone, and only the first is said. */
#define ALL_GRANTS "; --show-sql ends with all that are needed"

/* What the role may do with the table of the reservations. */
static int check_rights(const struct catalog *c, char *error, size_t size)
{
    const struct queue_table *table = &c->queue->table;
    const struct catalog_column *column = &c->columns[0];
    if (c->queue->deletes && !column->deletable)
        return fail(c, table->line, error, size,
                    "the grant to DELETE from table %s is missing" ALL_GRANTS, table->written);
    if (!column->lockable)
        return fail(c, table->line, error, size,
                    "the grant to UPDATE table %s is missing: rows are locked with it" ALL_GRANTS,
                    table->written);
    return 0;
}

/* kinds: " int4 int8 " */
static bool is_among(const char *kind, const char *kinds)
{
    char word[CATALOG_TYPE_MAX + 2];
    snprintf(word, sizeof(word), " %s ", kind);
    return strstr(kinds, word) != NULL;
}

/* Whether its type can serve for what it is to the queue. Ids and expiries are judged apart. */
static int check_kind(const struct catalog *c, int i, char *error, size_t size)
{
    const struct catalog_name *name = &c->names[i];
    const char *kind = c->columns[i].kind, *wanted = NULL;
    bool number =
        name->use == CATALOG_QUANTITY || name->use == CATALOG_FREE || name->use == CATALOG_HELD;
    if (number && !is_among(kind, " int2 int4 int8 numeric float4 float8 "))
        wanted = "units have to be numbers";
    if ((name->use == CATALOG_KEY || name->use == CATALOG_COUNTER_KEY) &&
        is_among(kind, " json xml point line lseg box path polygon circle "))
        wanted = "its values cannot be compared and ordered, as those of a key are";
    return wanted == NULL ? 0
                          : fail(c, name->line, error, size, "column %s.%s has the type %s: %s",
                                 catalog_table(c, i)->written, name->name, kind, wanted);
}

/* Whether column number i is there and may be used; else -1 with the sentence. */
static int check_column(const struct catalog *c, int i, char *error, size_t size)
{
    const struct catalog_column *column = &c->columns[i];
    const struct catalog_name *name = &c->names[i];
    const struct queue_table *of = catalog_table(c, i);
    const char *table = of->written;
    if (!column->found)
        return fail(c, of->line, error, size, "there is no table %s%s", table,
                    of->schema == NULL ? " in the search path" : "");
    if (!column->exists)
        return fail(c, name->line, error, size, "table %s has no column %s", table, name->name);
    if (!catalog_of_counters(name) && strchr("vm", column->relkind) != NULL)
        return fail(c, of->line, error, size,
                    "%s is a view: its rows cannot be locked and released one by one", table);
    if (!column->readable)
        return fail(c, of->line, error, size,
                    "the grant to SELECT from table %s is missing" ALL_GRANTS, table);
    if (is_written(name->use) && !column->writable)
        return fail(c, name->line, error, size, "the grant to UPDATE %s.%s is missing" ALL_GRANTS,
                    table, name->name);
    if (is_written(name->use) && column->generated)
        return fail(c, name->line, error, size, "column %s.%s is generated: nothing can set it",
                    table, name->name);
    if (column->taken)
        return fail(c, of->line, error, size,
                    "table %s has a column that begins with rs$, as those do that statements make",
                    table);
    return 0;
}

static bool is_integer(const struct catalog_column *column)
{
    const char *kind = column->kind;
    return strcmp(kind, "int4") == 0 || strcmp(kind, "int8") == 0 || strcmp(kind, "int2") == 0;
}

/* When a row expires: a time, or a number where the queue says its unit. */
static int check_expires(const struct catalog *c, struct mapping_types *types, char *error,
                         size_t size)
{
    const struct catalog_column *column = always(c, CATALOG_EXPIRES);
    const struct queue *q = c->queue;
    const char *kind = column->kind;
    bool number = q->expires_unit != QUEUE_EXPIRES_TIME;
    types->expires_type = column->exact;
    types->expires_has_zone = strcmp(kind, "timestamptz") == 0;
    if (number ? strcmp(kind, "int8") == 0
               : types->expires_has_zone || strcmp(kind, "timestamp") == 0)
        return 0;
    bool bigint = strcmp(kind, "int8") == 0;
    return fail(c, q->expires_at.line, error, size, "column %s.%s has the type %s: %s",
                q->table.written, q->expires_at.text, kind,
                number   ? "with expires_unit it has to be bigint"
                : bigint ? "of a bigint expires_unit has to say what it counts, ms or s"
                         : "timestamptz and timestamp are understood");
}

/* A float and a numeric(9,-2) round what they are given. */
static bool holds_integers(const struct catalog_column *column)
{
    return column == NULL || is_integer(column) ||
           (strncmp(column->type, "numeric", 7) == 0 && strstr(column->type, ",-") == NULL);
}

/* What may stand between a statement and the rows that it means. */
static void read_guards(const struct catalog *c, struct mapping_types *types)
{
    const struct catalog_column *id = always(c, CATALOG_ID);
    const struct catalog_column *key = find(c, CATALOG_COUNTER_KEY);
    const struct catalog_column *quantity = find(c, CATALOG_QUANTITY);
    types->expires_nullable = always(c, CATALOG_EXPIRES)->nullable;
    types->id_nullable = id->nullable;
    types->rows_hidden = id->row_security;
    types->counters_hidden = key != NULL && key->row_security;
    types->meddled = id->meddled || (key != NULL && key->meddled);
    types->deferred = id->deferred || (key != NULL && key->deferred);
    types->counter_unique = key != NULL && key->key_unique;
    types->whole_units = (quantity == NULL || is_integer(quantity)) &&
                         holds_integers(find(c, CATALOG_FREE)) &&
                         holds_integers(find(c, CATALOG_HELD));
    types->id_unique = id->unique;
    types->rows_divided = id->divided;
    types->counters_divided = key != NULL && key->divided;
}

/* What is there if it is, and the keys. */
static void read_rest(const struct catalog *c, struct mapping_types *types)
{
    const struct catalog_column *updated = always(c, CATALOG_UPDATED);
    const struct catalog_column *total = find(c, CATALOG_TOTAL);
    types->updated_has_zone = strcmp(updated->kind, "timestamptz") == 0;
    types->dated = updated->exists && updated->readable &&
                   (types->updated_has_zone || strcmp(updated->kind, "timestamp") == 0);
    types->has_total_stock = total != NULL && total->exists && total->readable;
    for (int i = 0, n = 0; i < c->n; i++)
        if (c->names[i].use == CATALOG_COUNTER_KEY)
            types->key_types[n++] = c->columns[i].type;
}

int catalog_types(const struct catalog *c, struct mapping_types *types, char *error, size_t size)
{
    const struct catalog_column *id = &c->columns[0];
    memset(types, 0, sizeof(*types));
    types->queue = c->queue;
    for (int i = 0; i < c->n; i++)
        if (!is_optional(c, i) && check_column(c, i, error, size) != 0)
            return -1;
    if (check_rights(c, error, size) != 0)
        return -1;
    for (int i = 0; i < c->n; i++)
        if (!is_optional(c, i) && check_kind(c, i, error, size) != 0)
            return -1;
    types->id_type = id->exact;
    if (id_type(types, id->kind) != 0)
        return fail(c, c->queue->id.line, error, size,
                    "column %s.%s has the type %s: uuid, text, varchar, char, bigint, integer and "
                    "smallint are understood",
                    c->queue->table.written, c->queue->id.text, id->kind);
    if (c->bytes)
        mapping_use_bytes(types);
    if (check_expires(c, types, error, size) != 0)
        return -1;
    read_guards(c, types);
    read_rest(c, types);
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

static void log_change(const struct catalog *c, int i, const struct catalog_column *before)
{
    const struct catalog_column *now = &c->columns[i];
    char from[CATALOG_TYPE_MAX + 16], to[CATALOG_TYPE_MAX + 16];
    log_event(LOG_WARN, "A column that is used has changed; the statements follow it", LOG_STR,
              "table", catalog_table(c, i)->written, LOG_STR, "column", c->names[i].name, LOG_STR,
              "from", describe(before, from, sizeof(from)), LOG_STR, "to",
              describe(now, to, sizeof(to)), LOG_END);
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
           a->key_unique == b->key_unique && a->row_security == b->row_security &&
           a->meddled == b->meddled && a->deferred == b->deferred && a->divided == b->divided &&
           a->lockable == b->lockable && a->deletable == b->deletable &&
           a->generated == b->generated && a->taken == b->taken;
}

bool catalog_changed(const struct catalog *before, const struct catalog *now)
{
    bool changed = before->bytes != now->bytes || before->n != now->n;
    for (int i = 0; i < now->n && i < before->n; i++) {
        const struct catalog_column *b = &before->columns[i], *n = &now->columns[i];
        bool first = i == 0 ||
                     catalog_of_counters(&now->names[i]) != catalog_of_counters(&now->names[i - 1]);
        bool retyped = !same_type(b, n);
        if (first && b->relation != n->relation)
            log_event(LOG_WARN, "A table that is used has been replaced by another", LOG_STR,
                      "table", catalog_table(now, i)->written, LOG_END);
        if (retyped)
            log_change(now, i, b);
        changed = changed || retyped || !same_rest(b, n);
    }
    return changed;
}
