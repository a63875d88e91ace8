/* The statements for this database: reads the catalog, checks what it says, fills the templates. */
#include "statements.h"

#include "clock.h"
#include "pg_link.h"
#include "sql_texts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CATALOG_DEADLINE_US (5 * 1000000)

struct statements {
    bool ready;
    struct mapping_types types;
    char *texts[STATEMENT_COUNT];
    struct pg_link *link; /* of the load under way */
    struct server_clock *clock;
    void (*done)(void *arg, const char *error);
    void *done_arg;
    char error[PG_MESSAGE_SIZE];
};

/* The columns that are asked for, in the order of the answer. */
static const struct {
    enum mapping_name table, column;
    bool written;
} columns[] = {
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

#define COLUMNS ((int)(sizeof(columns) / sizeof(columns[0])))

enum {
    COL_ID = 0,
    COL_QUANTITY = 2,
    COL_EXPIRES = 3,
    COL_UPDATED = 5,
    COL_STOCK_PRODUCT = 6,
    COL_STOCK_UPDATED = 9,
    COL_TOTAL_STOCK = 10
};

/* What the answer says of each (sql/catalog.sql). */
enum {
    FACT_TYPE_NAME,
    FACT_TABLE_FOUND,
    FACT_MAY_SELECT,
    FACT_MAY_UPDATE,
    FACT_CLOCK,
    FACT_TYPE,
    FACT_NULLABLE,
    FACT_UNIQUE,
    FACT_ROW_SECURITY,
    FACT_MEDDLED,
    FACTS
};

struct statements *statements_new(void)
{
    return calloc(1, sizeof(struct statements));
}

void statements_forget(struct statements *s)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        free(s->texts[i]);
        s->texts[i] = NULL;
    }
    s->ready = false;
}

void statements_free(struct statements *s)
{
    if (s == NULL)
        return;
    statements_forget(s);
    free(s);
}

bool statements_ready(const struct statements *s)
{
    return s->ready;
}

bool statements_loading(const struct statements *s)
{
    return s->done != NULL;
}

const char *statements_text(const struct statements *s, enum statement which)
{
    assert(s->ready && which < STATEMENT_COUNT);
    return s->texts[which];
}

const struct mapping_types *statements_types(const struct statements *s)
{
    assert(s->ready);
    return &s->types;
}

static int id_type(struct mapping_types *types, const char *name)
{
    static const struct {
        const char *name;
        enum id_kind kind;
        const char *cast;
    } kinds[] = {
        {"uuid", ID_UUID, "uuid"},     {"text", ID_TEXT, "text"},   {"varchar", ID_TEXT, "text"},
        {"bpchar", ID_TEXT, "bpchar"}, {"int8", ID_INT8, "bigint"}, {"int4", ID_INT4, "bigint"},
        {"int2", ID_INT2, "bigint"},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            types->id_kind = kinds[i].kind;
            types->id_cast = kinds[i].cast;
            return 0;
        }
    }
    return -1;
}

static int time_type(bool *has_zone, const char *name)
{
    *has_zone = strcmp(name, "timestamptz") == 0;
    return *has_zone || strcmp(name, "timestamp") == 0 ? 0 : -1;
}

/* Whether column number i is there and may be used; else -1 with the sentence in s->error. */
static int check_column(struct statements *s, const struct pg_result *r, int i)
{
    const char *table = mapping_name_text(columns[i].table);
    const char *column = mapping_name_text(columns[i].column);
    if (strcmp(pg_result_text(r, i, 1), "t") != 0)
        snprintf(s->error, sizeof(s->error), "there is no table %s in the search path", table);
    else if (pg_result_null(r, i, 0))
        snprintf(s->error, sizeof(s->error), "table %s has no column %s", table, column);
    else if (strcmp(pg_result_text(r, i, 2), "t") != 0)
        snprintf(s->error, sizeof(s->error), "the grant to SELECT from table %s is missing", table);
    else if (columns[i].written && strcmp(pg_result_text(r, i, 3), "t") != 0)
        snprintf(s->error, sizeof(s->error), "the grant to UPDATE %s.%s is missing", table, column);
    else
        return 0;
    return -1;
}

static bool is_true(const struct pg_result *r, int row, int fact)
{
    return pg_result_text(r, row, fact)[0] == 't';
}

/* What may stand between an UPDATE and the rows that it means. */
static void read_guards(struct mapping_types *types, const struct pg_result *r)
{
    const char *quantity = pg_result_text(r, COL_QUANTITY, FACT_TYPE_NAME);
    types->expires_nullable = is_true(r, COL_EXPIRES, FACT_NULLABLE);
    types->rows_hidden = is_true(r, COL_ID, FACT_ROW_SECURITY);
    types->counters_hidden = is_true(r, COL_STOCK_PRODUCT, FACT_ROW_SECURITY);
    types->meddled =
        is_true(r, COL_ID, FACT_MEDDLED) || is_true(r, COL_STOCK_PRODUCT, FACT_MEDDLED);
    types->counter_unique = is_true(r, COL_STOCK_PRODUCT, FACT_UNIQUE);
    types->whole_units = strcmp(quantity, "int4") == 0 || strcmp(quantity, "int8") == 0 ||
                         strcmp(quantity, "int2") == 0;
    snprintf(types->product_type, sizeof(types->product_type), "%s",
             pg_result_text(r, COL_STOCK_PRODUCT, FACT_TYPE));
}

static int read_types(struct statements *s, const struct pg_result *r)
{
    if (pg_result_rows(r) != COLUMNS || pg_result_columns(r) != FACTS) {
        snprintf(s->error, sizeof(s->error), "the catalog gave an unexpected answer");
        return -1;
    }
    for (int i = 0; i < COLUMNS; i++)
        if (i != COL_TOTAL_STOCK && check_column(s, r, i) != 0)
            return -1;
    if (id_type(&s->types, pg_result_text(r, COL_ID, 0)) != 0) {
        snprintf(s->error, sizeof(s->error),
                 "column %s.%s has the type %s: uuid, text, varchar, char, bigint, integer and "
                 "smallint are understood",
                 mapping_name_text(NAME_RESERVATIONS), mapping_name_text(NAME_ID),
                 pg_result_text(r, COL_ID, 0));
        return -1;
    }
    read_guards(&s->types, r);
    s->types.has_total_stock = !pg_result_null(r, COL_TOTAL_STOCK, 0) &&
                               strcmp(pg_result_text(r, COL_TOTAL_STOCK, 2), "t") == 0;
    const int times[] = {COL_EXPIRES, COL_UPDATED, COL_STOCK_UPDATED};
    bool *zones[] = {&s->types.expires_has_zone, &s->types.updated_has_zone,
                     &s->types.stock_updated_has_zone};
    for (int t = 0; t < 3; t++) {
        int i = times[t];
        if (time_type(zones[t], pg_result_text(r, i, 0)) != 0) {
            snprintf(s->error, sizeof(s->error),
                     "column %s.%s has the type %s: timestamptz and timestamp are understood",
                     mapping_name_text(columns[i].table), mapping_name_text(columns[i].column),
                     pg_result_text(r, i, 0));
            return -1;
        }
    }
    return 0;
}

static int render(struct statements *s)
{
    static const struct {
        const char *text;
        bool plain;
    } templates[STATEMENT_COUNT] = {
        [STATEMENT_RELEASE_POLITE] = {sql_release, false},
        [STATEMENT_RELEASE_PATIENT] = {sql_release, true},
        [STATEMENT_RELEASE_HURRIED] = {sql_release_hurried, false},
        [STATEMENT_PRODUCTS] = {sql_products, false},
        [STATEMENT_DUE_ROWS] = {sql_due_rows, false},
        [STATEMENT_DUE_ROWS_NEXT] = {sql_due_rows, true},
        [STATEMENT_DUE_COUNT] = {sql_due_count, false},
        [STATEMENT_LATE_ROWS] = {sql_late_rows, false},
        [STATEMENT_BEGIN] = {sql_begin, false},
        [STATEMENT_ACTIVE_ROWS] = {sql_active_rows, false},
        [STATEMENT_TIED_ROWS] = {sql_tied_rows, false},
        [STATEMENT_LOOK] = {sql_look, false},
        [STATEMENT_STOCK] = {sql_stock, false},
        [STATEMENT_STOCK_LOCK] = {sql_stock_lock, false},
        [STATEMENT_STOCK_REPAIR] = {sql_stock_repair, false},
    };
    statements_forget(s);
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        s->texts[i] = mapping_render(templates[i].text, &s->types, templates[i].plain, s->link);
        if (s->texts[i] == NULL) {
            snprintf(s->error, sizeof(s->error), "out of memory");
            statements_forget(s);
            return -1;
        }
    }
    s->ready = true;
    return 0;
}

static void on_catalog(void *arg, const struct pg_answer *answer)
{
    struct statements *s = arg;
    void (*done)(void *, const char *) = s->done;
    s->done = NULL;
    int rc = -1;
    if (answer->status == PG_DONE) {
        rc = read_types(s, answer->results[0]) == 0 ? render(s) : -1;
        if (rc == 0)
            server_clock_sample(s->clock, pg_result_int(answer->results[0], 0, FACT_CLOCK),
                                answer->sent_us, answer->received_us);
    } else {
        snprintf(s->error, sizeof(s->error), "%s", answer->message);
    }
    done(s->done_arg, rc == 0 ? NULL : s->error);
}

/* {"a","b"}: names are quoted as SQL identifiers first where they are tables. */
static char *name_array(struct pg_link *link, bool tables)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    for (int i = 0; i < COLUMNS; i++) {
        const char *name = mapping_name_text(tables ? columns[i].table : columns[i].column);
        char *quoted = tables ? pg_link_quote_ident(link, name) : NULL;
        fputs(i == 0 ? "{\"" : ",\"", out);
        for (const char *p = quoted != NULL ? quoted : name; *p != '\0'; p++) {
            if (*p == '"' || *p == '\\')
                fputc('\\', out);
            fputc(*p, out);
        }
        fputc('"', out);
        free(quoted);
    }
    fputc('}', out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

int statements_load(struct statements *s, struct pg_link *link, struct server_clock *clock,
                    void (*done)(void *arg, const char *error), void *arg)
{
    assert(s->done == NULL);
    char *tables = name_array(link, true);
    char *cols = name_array(link, false);
    const char *params[] = {tables, cols};
    const struct pg_query query = {.sql = sql_catalog, .nparams = 2, .params = params};
    s->link = link;
    s->clock = clock;
    s->done = done;
    s->done_arg = arg;
    int rc = -1;
    if (tables != NULL && cols != NULL)
        rc = pg_link_send(link, &query, 1, CATALOG_DEADLINE_US, on_catalog, s);
    if (rc != 0)
        s->done = NULL;
    free(tables);
    free(cols);
    return rc;
}
