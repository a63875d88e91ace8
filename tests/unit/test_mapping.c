/* Templates into statements: what each token becomes, by what the catalog said of the columns. */
#include "store/mapping.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In place of pg_quote.c, which needs a connection: "a name" is <a name>, 'a text' is 'a text'. */
static int quotes_left; /* before memory runs out */

char *pg_link_quote_ident(struct pg_link *link, const char *name);
char *pg_link_quote_literal(struct pg_link *link, const char *text);

static char *quoted(const char *format, const char *text)
{
    char *out = NULL;
    if (quotes_left-- <= 0)
        return NULL;
    if (asprintf(&out, format, text) < 0)
        fail_msg("memory ran out");
    return out;
}

char *pg_link_quote_ident(struct pg_link *link, const char *name)
{
    (void)link;
    return quoted("<%s>", name);
}

char *pg_link_quote_literal(struct pg_link *link, const char *text)
{
    (void)link;
    return quoted("'%s'", text);
}

/* Tables as sql/schema.sql has them. */
static const struct mapping_types schema = {
    .id_kind = ID_UUID,
    .id_cast = "pg_catalog.uuid",
    .expires_has_zone = true,
    .updated_has_zone = true,
    .stock_updated_has_zone = true,
    .has_total_stock = true,
    .id_type = "EXACT_ID",
    .expires_type = "EXACT_EXPIRES",
    .updated_type = "EXACT_UPDATED",
    .stock_updated_type = "EXACT_STOCK_UPDATED",
    .counter_unique = true,
    .whole_units = true,
    .product_type = "PRODUCT_TYPE",
};

/* Tables in which everything is otherwise. */
static const struct mapping_types other = {
    .id_kind = ID_TEXT,
    .id_cast = "pg_catalog.text",
    .id_type = "EXACT_ID",
    .expires_type = "EXACT_EXPIRES",
    .updated_type = "EXACT_UPDATED",
    .stock_updated_type = "EXACT_STOCK_UPDATED",
    .expires_nullable = true,
    .rows_hidden = true,
    .counters_hidden = true,
    .meddled = true,
    .deferred = true,
    .partitioned = true,
    .product_type = "PRODUCT_TYPE",
};

static char *rendered(const char *text, const struct mapping_types *types, unsigned form)
{
    quotes_left = 100;

    char *sql = mapping_render(text, types, form, NULL);
    assert_non_null(sql);
    return sql;
}

static void expect(const char *text, const struct mapping_types *types, unsigned form,
                   const char *wanted)
{
    char *sql = rendered(text, types, form);
    if (strcmp(sql, wanted) != 0)
        fail_msg("%s\n  became %s\n  wanted %s", text, sql, wanted);
    free(sql);
}

static void test_names(void **state)
{
    (void)state;
    expect("", &schema, 0, "");
    expect("SELECT 1 - 1", &schema, 0, "SELECT 1 - 1");
    expect("{reservations} r.{id}", &schema, 0, "<inventory_reservations> r.<id>");
    expect("{product_id}{quantity}{expires_at}{status}{updated_at}", &schema, 0,
           "<product_id><quantity><expires_at><status><updated_at>");
    expect("{inventory} {stock_product_id} {available_stock} {reserved_stock} {total_stock}",
           &schema, 0, "<inventory> <product_id> <available_stock> <reserved_stock> <total_stock>");
    expect("{stock_updated_at}", &schema, 0, "<updated_at>");
    expect("{total_stock}", &other, 0, "NULL::bigint");
    expect("{active} {released}", &schema, 0, "'active' 'released'");
    expect("{reservations_text} {inventory_text}", &schema, 0,
           "'<inventory_reservations>' '<inventory>'");
    assert_string_equal(mapping_name_text(NAME_RESERVATIONS), "inventory_reservations");
    assert_string_equal(mapping_name_text(NAME_RELEASED), "released");
}

static void test_comments_stay_at_home(void **state)
{
    (void)state;
    expect("a -- {nonsense} of it\nb", &schema, 0, "a \nb");
    expect("a -- b", &schema, 0, "a ");
    expect("--a\n--b\nc-d", &schema, 0, "\n\nc-d");
}

static void test_types(void **state)
{
    (void)state;
    expect("$1::{id_type}[] {stock_product_type}", &schema, 0,
           "$1::pg_catalog.uuid[] PRODUCT_TYPE");
    expect("{now_expires}|{now_updated}|{now_stock_updated}|{epoch_expires}", &schema, 0,
           "pg_catalog.now()|pg_catalog.now()|pg_catalog.now()|timestamp with time zone 'epoch'");
    expect("{now_expires}|{now_updated}|{now_stock_updated}|{epoch_expires}", &other, 0,
           "(pg_catalog.now() AT TIME ZONE 'UTC')|(pg_catalog.now() AT TIME ZONE 'UTC')|"
           "(pg_catalog.now() AT TIME ZONE 'UTC')|timestamp 'epoch'");

    struct mapping_types mixed = schema;
    mixed.updated_has_zone = false;
    expect("{now_expires}|{now_updated}|{now_stock_updated}", &mixed, 0,
           "pg_catalog.now()|(pg_catalog.now() AT TIME ZONE 'UTC')|pg_catalog.now()");
    expect("{typed}", &schema, 0,
           "(true OR pg_catalog.arrayoverlap(ARRAY[r.<id>], NULL::EXACT_ID[])"
           " OR pg_catalog.arrayoverlap(ARRAY[r.<expires_at>], NULL::EXACT_EXPIRES[])"
           " OR pg_catalog.arrayoverlap(ARRAY[r.<updated_at>], NULL::EXACT_UPDATED[]))");
    expect("{stock_typed}", &schema, 0,
           "(true OR pg_catalog.arrayoverlap(ARRAY[i.<updated_at>], NULL::EXACT_STOCK_UPDATED[]))");
    expect("{release_lock}", &schema, 0, MAPPING_RELEASE_LOCK);
}

static void test_forms(void **state)
{
    (void)state;
    static const char text[] = "a{if_lean} b {id}{end}{if_explaining} c {id}{end} d";
    expect(text, &schema, 0, "a c <id> d");
    expect(text, &schema, MAPPING_LEAN, "a b <id> d");
    expect("{skip_locked}|{fence}", &schema, 0, "SKIP LOCKED|OFFSET 0");
    expect("{skip_locked}|{fence}", &schema, MAPPING_LEAN, "SKIP LOCKED|OFFSET 0");
    expect("{skip_locked}|{fence}", &schema, MAPPING_BARE, "|");
    expect("{if_lean}x{end}|{fence}", &schema, MAPPING_BARE | MAPPING_LEAN, "x|");
}

/* True when the text of a token holds this. */
static void expect_part(const char *token, const struct mapping_types *types, unsigned form,
                        const char *part)
{
    char *sql = rendered(token, types, form);
    if (strstr(sql, part) == NULL)
        fail_msg("%s\n  became %s\n  without %s", token, sql, part);
    assert_null(strpbrk(sql, "{}"));
    free(sql);
}

static void test_what_may_stand_between(void **state)
{
    (void)state;
    expect("{noted}", &schema, 0, "0");
    expect_part("{noted}", &other, 0, "set_config('reservation_sweeper.released'");
    expect("{meddled}", &other, 0, "false");
    expect_part("{meddled}", &schema, 0, "'<inventory_reservations>'::pg_catalog.regclass");
    expect("{or_hidden}", &schema, MAPPING_BARE, "");
    expect("{or_hidden}", &other, 0, "");
    expect_part("{or_hidden}", &other, MAPPING_BARE, "s.expires_at <= (pg_catalog.now() AT");

    struct mapping_types zoned = other;
    zoned.expires_has_zone = true;
    expect_part("{or_hidden}", &zoned, MAPPING_BARE, "s.expires_at <= pg_catalog.now() AND");
    expect("{and_not_endless}", &schema, 0, "");
    expect_part("{and_not_endless}", &other, 0, "e.<expires_at> IS NULL");
    expect("{latest_of_active}", &schema, 0, "pg_catalog.max(r.<expires_at>) OVER same");
    expect_part("{latest_of_active}", &other, 0, "CASE WHEN pg_catalog.bool_and(");
    expect("{latest_expires}", &schema, 0,
           "pg_catalog.max(r.<expires_at>) FILTER (WHERE r.<status> = 'active') OVER same");
    expect_part("{latest_expires}", &other, 0, "CASE WHEN pg_catalog.bool_and(");
}

/* Memory that runs out, or a link that is down, at each quoted name: no statement, never half. */
static void test_failures(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{reservations}", "{active}",      "{reservations_text}",
        "{typed}",        "{stock_typed}", "{and_not_endless}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const int enough = 100;
        quotes_left = enough;
        free(mapping_render(texts[i], &other, 0, NULL));

        int needed = enough - quotes_left;
        assert_true(needed > 0);
        for (int n = 0; n < needed; n++) {
            quotes_left = n;
            assert_null(mapping_render(texts[i], &other, 0, NULL));
        }
    }
}

/* A change of one property, and what it allows. */
static void expect_allowed(struct mapping_types types, bool bulk, bool lean)
{
    assert_int_equal(mapping_allows_bulk(&types), bulk);
    assert_int_equal(mapping_allows_lean(&types), lean);
}

static void test_what_is_allowed(void **state)
{
    (void)state;
    struct mapping_types t = schema;
    expect_allowed(t, true, true);
    t.rows_hidden = true;
    expect_allowed(t, true, false);
    t = schema;
    t.partitioned = true;
    expect_allowed(t, true, false);
    t = schema;
    t.meddled = true;
    expect_allowed(t, false, false);
    t = schema;
    t.counters_hidden = true;
    expect_allowed(t, false, false);
    t = schema;
    t.counter_unique = false;
    expect_allowed(t, false, false);
    t = schema;
    t.whole_units = false;
    expect_allowed(t, false, false);
    t = schema;
    t.expires_nullable = true;
    expect_allowed(t, true, true);
}

static void test_bytes(void **state)
{
    (void)state;
    struct mapping_types t = schema;
    mapping_use_bytes(&t);
    assert_true(t.bytes);
    assert_int_equal(t.id_kind, ID_UUID);
    t = other;
    mapping_use_bytes(&t);
    assert_true(t.bytes);
    assert_int_equal(t.id_kind, ID_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_comments_stay_at_home),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_what_may_stand_between),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_what_is_allowed),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
