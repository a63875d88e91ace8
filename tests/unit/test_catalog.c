/* What the catalog says of the tables: read, judged, and compared with what it said before. */
#include "store/catalog.h"

#include "base/log.h"
#include "link/pg_link.h"

#include "shop_queue.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The columns in the order of the answer. */
enum {
    ID,
    PRODUCT_ID,
    QUANTITY,
    EXPIRES,
    STATUS,
    UPDATED,
    DATED, /* the same, as what it is called */
    STOCK_PRODUCT,
    AVAILABLE,
    RESERVED,
    STOCK_UPDATED,
    TOTAL,
    COLUMNS,
};

/* ---- an answer, in place of pg_result.c and pg_quote.c ---- */

#define FACTS_N 22

static struct {
    int rows, columns;
    const char *cells[COLUMNS][FACTS_N]; /* NULL: NULL */
} answer;

int pg_result_rows(const struct pg_result *r)
{
    (void)r;
    return answer.rows;
}

int pg_result_columns(const struct pg_result *r)
{
    (void)r;
    return answer.columns;
}

bool pg_result_null(const struct pg_result *r, int row, int column)
{
    (void)r;
    return answer.cells[row][column] == NULL;
}

const char *pg_result_text(const struct pg_result *r, int row, int column)
{
    (void)r;
    return answer.cells[row][column] == NULL ? "" : answer.cells[row][column];
}

int64_t pg_result_int(const struct pg_result *r, int row, int column)
{
    return strtoll(pg_result_text(r, row, column), NULL, 10);
}

char *pg_link_quote_ident(struct pg_link *link, const char *name);
char *pg_link_quote_literal(struct pg_link *link, const char *text);

char *pg_link_quote_literal(struct pg_link *link, const char *text)
{
    return pg_link_quote_ident(link, text);
}

static bool link_is_down;

char *pg_link_quote_ident(struct pg_link *link, const char *name)
{
    char *out = NULL;
    (void)link;
    if (link_is_down)
        return NULL;
    if (asprintf(&out, "\"%s\"", name) < 0)
        fail_msg("memory ran out");
    return out;
}

/* ---- a catalog ---- */

static void column_set(struct catalog_column *c, const char *kind, const char *type)
{
    *c = (struct catalog_column){
        .found = true,
        .exists = true,
        .readable = true,
        .writable = true,
        .lockable = true,
        .unique = true,
        .key_unique = true,
        .relkind = 'r',
        .relation = 16385,
    };
    snprintf(c->kind, sizeof(c->kind), "%s", kind);
    snprintf(c->type, sizeof(c->type), "%s", type);
    snprintf(c->exact, sizeof(c->exact), "pg_catalog.%s", kind);
}

/* As sql/schema.sql has it. */
static struct catalog schema(void)
{
    struct catalog c;
    assert_int_equal(catalog_list(&c, &shop_queue), 0);
    assert_int_equal(c.n, COLUMNS);
    for (int i = 0; i < COLUMNS; i++)
        column_set(&c.columns[i], "int4", "integer");
    column_set(&c.columns[ID], "uuid", "uuid");
    column_set(&c.columns[PRODUCT_ID], "uuid", "uuid");
    column_set(&c.columns[STATUS], "text", "text");
    column_set(&c.columns[STOCK_PRODUCT], "uuid", "uuid");
    column_set(&c.columns[EXPIRES], "timestamptz", "timestamp with time zone");
    column_set(&c.columns[UPDATED], "timestamptz", "timestamp with time zone");
    column_set(&c.columns[DATED], "timestamptz", "timestamp with time zone");
    return c;
}

static void expect_refused(const struct catalog *c, const char *sentence)
{
    struct mapping_types types;
    char error[256] = "";
    assert_int_equal(catalog_types(c, &types, error, sizeof(error)), -1);
    assert_string_equal(error, sentence);
}

static struct mapping_types judged(const struct catalog *c)
{
    struct mapping_types types;
    char error[256] = "";
    if (catalog_types(c, &types, error, sizeof(error)) != 0)
        fail_msg("%s", error);
    return types;
}

static void test_the_schema(void **state)
{
    (void)state;
    struct catalog c = schema();
    struct mapping_types t = judged(&c);
    assert_int_equal(t.id_kind, ID_UUID);
    assert_string_equal(t.id_cast, "pg_catalog.uuid");
    assert_string_equal(t.id_type, "pg_catalog.uuid");
    assert_string_equal(t.key_types[0], "uuid");
    assert_ptr_equal(t.queue, &shop_queue);
    assert_string_equal(t.expires_type, "pg_catalog.timestamptz");
    assert_true(t.expires_has_zone && t.dated && t.updated_has_zone);
    assert_true(t.has_total_stock && t.counter_unique && t.whole_units);
    assert_false(t.bytes || t.expires_nullable || t.rows_hidden || t.counters_hidden);
    assert_false(t.meddled || t.deferred || t.rows_divided || t.counters_divided);
    assert_true(t.id_unique);
    assert_true(mapping_allows_lean(&t));
}

static void test_ids(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *cast;
        enum id_kind id_kind, as_bytes;
    } rows[] = {
        {"uuid", "pg_catalog.uuid", ID_UUID, ID_UUID},
        {"text", "pg_catalog.text", ID_TEXT, ID_BYTES},
        {"varchar", "pg_catalog.text", ID_TEXT, ID_BYTES},
        {"bpchar", "pg_catalog.bpchar", ID_TEXT, ID_BYTES},
        {"int8", "bigint", ID_INT8, ID_INT8},
        {"int4", "bigint", ID_INT4, ID_INT4},
        {"int2", "bigint", ID_INT2, ID_INT2},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct catalog c = schema();
        column_set(&c.columns[ID], rows[i].kind, rows[i].kind);

        struct mapping_types t = judged(&c);
        assert_int_equal(t.id_kind, rows[i].id_kind);
        assert_string_equal(t.id_cast, rows[i].cast);
        c.bytes = true;
        t = judged(&c);
        assert_int_equal(t.id_kind, rows[i].as_bytes);
        assert_true(t.bytes);
    }

    struct catalog c = schema();
    column_set(&c.columns[ID], "jsonb", "jsonb");
    expect_refused(&c, "column inventory_reservations.id has the type jsonb: uuid, text, varchar, "
                       "char, bigint, integer and smallint are understood");
}

static void test_times(void **state)
{
    (void)state;
    struct catalog c = schema();
    column_set(&c.columns[EXPIRES], "timestamp", "timestamp without time zone");
    struct mapping_types t = judged(&c);
    assert_false(t.expires_has_zone);
    assert_true(t.updated_has_zone);
    assert_string_equal(t.expires_type, "pg_catalog.timestamp");
    column_set(&c.columns[EXPIRES], "date", "date");
    expect_refused(&c,
                   "column inventory_reservations.expires_at has the type date: timestamptz and "
                   "timestamp are understood");

    c = schema();
    column_set(&c.columns[DATED], "timestamp", "timestamp without time zone");
    assert_true(judged(&c).dated && !judged(&c).updated_has_zone);
    column_set(&c.columns[DATED], "date", "date");
    assert_false(judged(&c).dated);
    c.columns[DATED].exists = false;
    assert_false(judged(&c).dated);
}

static void test_times_as_numbers(void **state)
{
    (void)state;
    struct queue numbers = shop_queue;
    struct catalog c = schema();
    column_set(&c.columns[EXPIRES], "int8", "bigint");
    expect_refused(&c, "column inventory_reservations.expires_at has the type int8: of a bigint "
                       "expires_unit has to say what it counts, ms or s");
    numbers.expires_unit = QUEUE_EXPIRES_MS;
    c.queue = &numbers;
    struct mapping_types t = judged(&c);
    assert_false(mapping_allows_bulk(&t));
    column_set(&c.columns[EXPIRES], "timestamptz", "timestamp with time zone");
    expect_refused(&c, "column inventory_reservations.expires_at has the type timestamptz: with "
                       "expires_unit it has to be bigint");
}

/* What is deleted is locked first, which takes another right. */
static void test_rights(void **state)
{
    (void)state;
    struct queue deleting = shop_queue;
    struct catalog c = schema();
    c.columns[0].lockable = false;
    expect_refused(&c, "the grant to UPDATE table inventory_reservations is missing: rows are "
                       "locked with it; --show-sql ends with all that are needed");
    deleting.deletes = true;
    deleting.released.text = NULL;
    deleting.file = "shop.yaml";
    deleting.table.line = 7;
    assert_int_equal(catalog_list(&c, &deleting), 0);
    for (int i = 0; i < c.n; i++)
        column_set(&c.columns[i], "int4", "integer");
    column_set(&c.columns[EXPIRES], "timestamptz", "timestamp with time zone");
    expect_refused(&c, "shop.yaml:7: the grant to DELETE from table inventory_reservations is "
                       "missing; --show-sql ends with all that are needed");
    c.columns[0].deletable = true;
    c.columns[0].lockable = false;
    expect_refused(&c, "shop.yaml:7: the grant to UPDATE table inventory_reservations is missing: "
                       "rows are locked with it; --show-sql ends with all that are needed");
    c.columns[0].lockable = true;
    struct mapping_types t = judged(&c);
    assert_false(mapping_allows_bulk(&t));
}

/* What is missing is said of the first column that lacks it; the total need not be there. */
static void test_what_is_missing(void **state)
{
    (void)state;
    struct catalog c = schema();
    c.columns[ID].found = false;
    expect_refused(&c, "there is no table inventory_reservations in the search path");
    c = schema();
    c.columns[RESERVED].exists = false;
    expect_refused(&c, "table inventory has no column reserved_stock");
    c = schema();
    c.columns[ID].readable = false;
    expect_refused(&c, "the grant to SELECT from table inventory_reservations is missing; "
                       "--show-sql ends with all that are needed");

    for (int i = 0; i < COLUMNS; i++) {
        struct mapping_types types;
        char error[256];
        bool written =
            i == STATUS || i == UPDATED || i == AVAILABLE || i == RESERVED || i == STOCK_UPDATED;
        c = schema();
        c.columns[i].writable = false;
        assert_int_equal(catalog_types(&c, &types, error, sizeof(error)), written ? -1 : 0);
    }
    c = schema();
    c.columns[STATUS].writable = false;
    expect_refused(&c, "the grant to UPDATE inventory_reservations.status is missing; "
                       "--show-sql ends with all that are needed");

    c = schema();
    c.columns[TOTAL].exists = false;
    assert_false(judged(&c).has_total_stock);
    c = schema();
    c.columns[TOTAL].readable = false;
    assert_false(judged(&c).has_total_stock);
}

static void test_views(void **state)
{
    (void)state;
    static const char kinds[] = {'v', 'm'};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct catalog c = schema();
        c.columns[STOCK_PRODUCT].relkind = kinds[i];
        (void)judged(&c); /* of the counters a view may do */
        c.columns[ID].relkind = kinds[i];
        expect_refused(&c, "inventory_reservations is a view: its rows cannot be locked and "
                           "released one by one");
    }
}

static void test_what_may_stand_between(void **state)
{
    (void)state;
    struct catalog c = schema();
    c.columns[ID].row_security = true;
    assert_true(judged(&c).rows_hidden);
    assert_false(judged(&c).counters_hidden);
    c = schema();
    c.columns[STOCK_PRODUCT].row_security = true;
    assert_true(judged(&c).counters_hidden);
    assert_false(judged(&c).rows_hidden);
    for (int i = ID; i <= STOCK_PRODUCT; i += STOCK_PRODUCT - ID) {
        c = schema();
        c.columns[i].meddled = true;
        assert_true(judged(&c).meddled);
        assert_false(judged(&c).deferred);
        c = schema();
        c.columns[i].deferred = true;
        assert_true(judged(&c).deferred);
        c = schema();
        c.columns[i].divided = true;
        assert_int_equal(judged(&c).rows_divided, i == ID);
        assert_int_equal(judged(&c).counters_divided, i != ID);
    }
    c = schema();
    c.columns[STOCK_PRODUCT].key_unique = false;
    assert_false(judged(&c).counter_unique);
    assert_true(judged(&c).id_unique);
    c = schema();
    c.columns[ID].unique = false;
    assert_false(judged(&c).id_unique);
    assert_true(judged(&c).counter_unique);
    c = schema();
    c.columns[EXPIRES].nullable = true;
    assert_true(judged(&c).expires_nullable);
}

/* Whether units are whole numbers that the counters take as they are. */
static void test_whole_units(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *type;
        int column;
        bool whole;
    } rows[] = {
        {"int2", "smallint", QUANTITY, true},
        {"int8", "bigint", QUANTITY, true},
        {"numeric", "numeric", QUANTITY, false},
        {"float8", "double precision", QUANTITY, false},
        {"int2", "smallint", AVAILABLE, true},
        {"int8", "bigint", AVAILABLE, true},
        {"numeric", "numeric", AVAILABLE, true},
        {"numeric", "numeric(12,3)", AVAILABLE, true},
        {"numeric", "numeric(9,-2)", AVAILABLE, false},
        {"float8", "double precision", AVAILABLE, false},
        {"float4", "real", RESERVED, false},
        {"numeric", "numeric(9,-2)", RESERVED, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct catalog c = schema();
        column_set(&c.columns[rows[i].column], rows[i].kind, rows[i].type);
        assert_int_equal(judged(&c).whole_units, rows[i].whole);
    }
}

/* ---- reading ---- */

static void answer_set(void)
{
    static const char *const cells[FACTS_N] = {"uuid",
                                               "t",
                                               "t",
                                               "t",
                                               "1795000000000001",
                                               "uuid",
                                               "f",
                                               "t",
                                               "t",
                                               "f",
                                               "f",
                                               "pg_catalog.uuid",
                                               "16385",
                                               "r",
                                               "f",
                                               "f",
                                               "f",
                                               "t",
                                               "t"};
    answer.rows = COLUMNS;
    answer.columns = FACTS_N;
    for (int i = 0; i < COLUMNS; i++)
        memcpy(answer.cells[i], cells, sizeof(cells));
}

static void test_reading(void **state)
{
    (void)state;
    struct catalog c = schema();
    answer_set();
    assert_int_equal(catalog_clock_us(NULL), 1795000000000001);
    assert_int_equal(catalog_read(&c, NULL), 0);
    for (int i = 0; i < COLUMNS; i++) {
        const struct catalog_column *column = &c.columns[i];
        assert_true(column->exists && column->found && column->readable && column->writable);
        assert_true(column->unique && column->key_unique);
        assert_false(column->nullable || column->row_security || column->meddled);
        assert_false(column->deferred || column->divided);
        assert_int_equal(column->relkind, 'r');
        assert_int_equal(column->relation, 16385);
        assert_string_equal(column->kind, "uuid");
        assert_string_equal(column->type, "uuid");
        assert_string_equal(column->exact, "pg_catalog.uuid");
    }
    assert_false(c.bytes);
    answer.cells[TOTAL][0] = NULL;
    answer.cells[0][14] = "t";
    assert_int_equal(catalog_read(&c, NULL), 0);
    assert_false(c.columns[TOTAL].exists);
    assert_true(c.bytes);
    answer.rows--;
    assert_int_equal(catalog_read(&c, NULL), -1);
    answer_set();
    answer.columns--;
    assert_int_equal(catalog_read(&c, NULL), -1);
}

static void test_what_cannot_serve(void **state)
{
    (void)state;
    static const struct {
        int column;
        const char *kind, *said;
    } rows[] = {
        {QUANTITY, "text",
         "column inventory_reservations.quantity has the type text: units have to be numbers"},
        {QUANTITY, "int",
         "column inventory_reservations.quantity has the type int: units have to be numbers"},
        {QUANTITY, "numeric", NULL},
        {AVAILABLE, "float8", NULL},
        {AVAILABLE, "money",
         "column inventory.available_stock has the type money: units have to be numbers"},
        {RESERVED, "text",
         "column inventory.reserved_stock has the type text: units have to be numbers"},
        {PRODUCT_ID, "jsonb", NULL},
        {PRODUCT_ID, "json",
         "column inventory_reservations.product_id has the type json: its values cannot be "
         "compared and ordered, as those of a key are"},
        {STOCK_PRODUCT, "point",
         "column inventory.product_id has the type point: its values cannot be compared and "
         "ordered, as those of a key are"},
        {STATUS, "json", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct catalog c = schema();
        column_set(&c.columns[rows[i].column], rows[i].kind, rows[i].kind);
        if (rows[i].said != NULL)
            expect_refused(&c, rows[i].said);
        else
            judged(&c);
    }

    struct catalog c = schema();
    c.columns[AVAILABLE].generated = true;
    expect_refused(&c, "column inventory.available_stock is generated: nothing can set it");
    c = schema();
    c.columns[TOTAL].generated = true;
    judged(&c);
    c.columns[ID].taken = true;
    expect_refused(&c, "table inventory_reservations has a column that begins with rs$, as those "
                       "do that statements make");
}

/* Each fact of the answer has its own place. */
static void test_each_fact(void **state)
{
    (void)state;
    static const struct {
        int fact;
        size_t offset;
    } rows[] = {
        {1, offsetof(struct catalog_column, found)},
        {2, offsetof(struct catalog_column, readable)},
        {3, offsetof(struct catalog_column, writable)},
        {6, offsetof(struct catalog_column, nullable)},
        {7, offsetof(struct catalog_column, unique)},
        {8, offsetof(struct catalog_column, key_unique)},
        {9, offsetof(struct catalog_column, row_security)},
        {10, offsetof(struct catalog_column, meddled)},
        {15, offsetof(struct catalog_column, deferred)},
        {16, offsetof(struct catalog_column, divided)},
        {17, offsetof(struct catalog_column, lockable)},
        {18, offsetof(struct catalog_column, deletable)},
        {19, offsetof(struct catalog_column, generated)},
        {20, offsetof(struct catalog_column, taken)},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct catalog c = schema();
        answer_set();
        for (size_t j = 0; j < ARRAY_LEN(rows); j++)
            answer.cells[3][rows[j].fact] = j == i ? "t" : "f";
        assert_int_equal(catalog_read(&c, NULL), 0);
        for (size_t j = 0; j < ARRAY_LEN(rows); j++)
            assert_int_equal(*(bool *)((char *)&c.columns[3] + rows[j].offset), j == i);
    }
}

/* ---- comparing ---- */

static void test_changes(void **state)
{
    (void)state;
    struct catalog before = schema();
    struct catalog now = schema();
    assert_false(catalog_changed(&before, &now));
    now.bytes = true;
    assert_true(catalog_changed(&before, &now));

    static const size_t flags[] = {
        offsetof(struct catalog_column, found),        offsetof(struct catalog_column, exists),
        offsetof(struct catalog_column, readable),     offsetof(struct catalog_column, writable),
        offsetof(struct catalog_column, nullable),     offsetof(struct catalog_column, unique),
        offsetof(struct catalog_column, row_security), offsetof(struct catalog_column, meddled),
        offsetof(struct catalog_column, deferred),     offsetof(struct catalog_column, divided),
        offsetof(struct catalog_column, generated),    offsetof(struct catalog_column, taken),
        offsetof(struct catalog_column, key_unique),
    };
    for (int i = 0; i < COLUMNS; i++) {
        for (size_t j = 0; j < ARRAY_LEN(flags); j++) {
            now = schema();

            bool *flag = (bool *)((char *)&now.columns[i] + flags[j]);
            *flag = !*flag;
            assert_true(catalog_changed(&before, &now));
        }
        now = schema();
        now.columns[i].relation++;
        assert_true(catalog_changed(&before, &now));
        now = schema();
        now.columns[i].relkind = 'p';
        assert_true(catalog_changed(&before, &now));
        now = schema();
        strcpy(now.columns[i].kind, "x");
        assert_true(catalog_changed(&before, &now));
        now = schema();
        strcpy(now.columns[i].type, "x");
        assert_true(catalog_changed(&before, &now));
        now = schema();
        strcpy(now.columns[i].exact, "x");
        assert_true(catalog_changed(&before, &now));
    }
}

static void test_names_asked_for(void **state)
{
    (void)state;
    struct catalog c = schema();
    char *tables = catalog_names(&c, NULL, true);
    char *columns = catalog_names(&c, NULL, false);
    assert_string_equal(columns, "{\"id\",\"product_id\",\"quantity\",\"expires_at\",\"status\","
                                 "\"updated_at\",\"updated_at\",\"product_id\",\"available_stock\","
                                 "\"reserved_stock\",\"updated_at\",\"total_stock\"}");
    assert_non_null(strstr(tables, "{\"\\\"inventory_reservations\\\"\",\"\\\"inv"));
    assert_non_null(strstr(tables, ",\"\\\"inventory\\\"\"}"));
    char *key = catalog_key(&c);
    assert_string_equal(key, "{\"product_id\"}");
    free(key);
    free(tables);
    free(columns);
    link_is_down = true;
    assert_null(catalog_names(&c, NULL, true));
    link_is_down = false;
}

/* The records of changes are not looked at here. */
static int quiet(void **state)
{
    static const struct log_options options = {.level = LOG_ERROR, .service = "test"};
    (void)state;
    return log_setup(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_schema),      cmocka_unit_test(test_ids),
        cmocka_unit_test(test_times),           cmocka_unit_test(test_times_as_numbers),
        cmocka_unit_test(test_rights),          cmocka_unit_test(test_what_is_missing),
        cmocka_unit_test(test_views),           cmocka_unit_test(test_what_may_stand_between),
        cmocka_unit_test(test_whole_units),     cmocka_unit_test(test_reading),
        cmocka_unit_test(test_each_fact),       cmocka_unit_test(test_changes),
        cmocka_unit_test(test_names_asked_for), cmocka_unit_test(test_what_cannot_serve),
    };
    return cmocka_run_group_tests(tests, quiet, NULL);
}
