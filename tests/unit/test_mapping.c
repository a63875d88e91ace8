/* Statements, made from the texts of sql/: what each token becomes, by what the catalog said of the
 * columns. */
#include "store/mapping.h"

#include "store/sql_texts.h"

#include "shop_queue.h"
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
    .queue = &shop_queue,
    .id_kind = ID_UUID,
    .id_cast = "pg_catalog.uuid",
    .expires_has_zone = true,
    .updated_has_zone = true,
    .dated = true,
    .has_total_stock = true,
    .id_type = "EXACT_ID",
    .expires_type = "EXACT_EXPIRES",
    .counter_unique = true,
    .whole_units = true,
    .key_types = {"KEY_TYPE", "KEY_TYPE_2"},
};

/* Tables in which everything is otherwise. */
static const struct mapping_types other = {
    .queue = &shop_queue,
    .id_kind = ID_TEXT,
    .id_cast = "pg_catalog.text",
    .id_type = "EXACT_ID",
    .expires_type = "EXACT_EXPIRES",
    .expires_nullable = true,
    .rows_hidden = true,
    .counters_hidden = true,
    .meddled = true,
    .deferred = true,
    .rows_divided = true,
    .counters_divided = true,
    .key_types = {"KEY_TYPE", "KEY_TYPE_2"},
};

static char *rendered(const char *text, const struct mapping_types *types, unsigned form)
{
    quotes_left = 1000;

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
    expect("{expires_at}|{quantity}|{inventory}", &schema, 0,
           "<expires_at>|r.<quantity>|<inventory>");
    expect("{free} {held} {total} {updated_at}", &schema, 0,
           "<available_stock> <reserved_stock> <total_stock> <updated_at>");
    expect("{total}", &other, 0, "NULL::bigint");
    expect("{reservations_text} {inventory_text}", &schema, 0,
           "'<inventory_reservations>' '<inventory>'");
    expect("{id_text} {queue_text} {zone} {after_us}", &schema, 0, "'id' 'reservations' 'UTC' 0");

    struct queue q = shop_queue;
    struct mapping_types t = schema;
    t.queue = &q;
    q.table.schema = (char[]){"shop"};
    q.quantity.text = NULL;
    q.after_us = 900000000;
    expect("{reservations} {reservations_text} {quantity} {after_us}", &t, 0,
           "<shop>.<inventory_reservations> '<shop>.<inventory_reservations>' 1 900000000");
}

/* On lines of its own, so that a comment ends there. */
static void test_sql_of_the_operator(void **state)
{
    (void)state;
    struct queue q = shop_queue;
    struct mapping_types t = schema;
    t.queue = &q;
    expect("{active}", &t, 0, "(\nstatus = 'active'\n)");
    expect("{released}", &t, 0, "\nstatus = 'released', updated_at = now()\n");
    expect("{stock_set}", &t, 0, ",\nupdated_at = now()\n");
    q.active.text = (char[]){"a -- {id}"};
    q.stock.set.text = NULL;
    expect("{active} b{stock_set}", &t, 0, "(\na -- {id}\n) b");
}

static void test_keys(void **state)
{
    (void)state;
    expect("{hold_keys}|{counter_keys}|{hold_key}|{counter_key}", &schema, 0,
           "r.<product_id> AS rs$k1|i.<product_id> AS rs$k1|r.<product_id>|i.<product_id>");
    expect("{k}|{s_k}|{i_is_m}|{s_key_text}|{m_key_texts}|{told_keys}", &schema, 0,
           "rs$k1|s.rs$k1|i.<product_id> = m.rs$k1|s.rs$k1::pg_catalog.text|"
           "m.rs$k1::pg_catalog.text|(t.c ->> 2)::KEY_TYPE AS rs$k1");

    struct queue q = shop_queue;
    struct mapping_types t = schema;
    t.queue = &q;
    q.stock.nkeys = 2;
    q.stock.keys[1] = (struct queue_key){SHOP_TEXT("place"), SHOP_TEXT("where")};
    expect("{hold_keys}|{counter_keys}|{k}|{h_k}", &t, 0,
           "r.<product_id> AS rs$k1, r.<place> AS rs$k2|i.<product_id> AS rs$k1, i.<where> AS "
           "rs$k2|rs$k1, rs$k2|h.rs$k1, h.rs$k2");
    expect("{i_is_w}|{v_key_text}|{m_key_texts}", &t, 0,
           "i.<product_id> = w.rs$k1 AND i.<where> = w.rs$k2|"
           "(v.rs$k1::pg_catalog.text || ',' || v.rs$k2::pg_catalog.text)|"
           "m.rs$k1::pg_catalog.text, m.rs$k2::pg_catalog.text");
    expect("{x_row_key}", &t, 0, "((x.rs$row ->> 'product_id') || ',' || (x.rs$row ->> 'place'))");
    expect("{told_keys}", &t, 0,
           "(t.c ->> 2)::KEY_TYPE AS rs$k1, (t.c ->> 3)::KEY_TYPE_2 AS rs$k2");
}

static void test_types(void **state)
{
    (void)state;
    expect("$1::{id_type}[]", &schema, 0, "$1::pg_catalog.uuid[]");
    expect("{now_at}|{now_updated}|{epoch_at}", &schema, 0,
           "pg_catalog.now()|pg_catalog.now()|timestamp with time zone 'epoch'");
    expect("{now_at}|{now_updated}|{epoch_at}", &other, 0,
           "(pg_catalog.now() AT TIME ZONE 'UTC')|(pg_catalog.now() AT TIME ZONE 'UTC')|"
           "timestamp 'epoch'");
    expect("{typed}", &schema, 0,
           "(true OR pg_catalog.arrayoverlap(ARRAY[r.<id>], NULL::EXACT_ID[])"
           " OR pg_catalog.arrayoverlap(ARRAY[r.<expires_at>], NULL::EXACT_EXPIRES[]))");
    expect("{release_lock}", &schema, 0, MAPPING_RELEASE_LOCK);
}

/* A part for each fact: kept only where the fact is so. */
static void test_facts(void **state)
{
    (void)state;
    static const char text[] = "{p}\n--@ p if lean\nlean\n--@ p if waiting\nwaiting\n"
                               "--@ p if next_page\nnext\n--@ p if meddled\nmeddled\n--@ p\nnone\n";
    expect(text, &schema, 0, "none");
    expect(text, &other, 0, "meddled");
    expect(text, &schema, MAPPING_LEAN, "lean");
    expect(text, &schema, MAPPING_WAITING, "waiting");
    expect(text, &schema, MAPPING_NEXT_PAGE, "next");
    expect(text, &schema, MAPPING_WAITING | MAPPING_NEXT_PAGE, "waiting");
    static const char hidden[] = "{p}\n--@ p if counters_hidden\nhidden\n--@ p\nseen\n";
    expect(hidden, &schema, 0, "seen");
    expect(hidden, &other, 0, "hidden");
}

/* True when what a token becomes holds this. */
static void expect_part(const char *token, const struct mapping_types *types, const char *part)
{
    char *sql = rendered(token, types, 0);
    if (strstr(sql, part) == NULL)
        fail_msg("%s\n  became %s\n  without %s", token, sql, part);
    assert_null(strpbrk(sql, "{}"));
    free(sql);
}

static void test_what_may_stand_between(void **state)
{
    (void)state;
    expect("{meddled}", &other, 0, "false");
    expect_part("{meddled}", &schema, "'<inventory_reservations>'::pg_catalog.regclass");
    expect("{and_not_endless}", &schema, 0, "");
    expect_part("{and_not_endless}", &other, "r.<expires_at> IS NULL");
}

static const struct {
    const char *name, *text;
    unsigned form;
} statements[] = {
    {"lean", sql_release, MAPPING_LEAN},
    {"careful", sql_release, 0},
    {"waiting", sql_release, MAPPING_WAITING},
    {"bulk", sql_release_bulk, 0},
    {"check", sql_release_check, 0},
    {"products", sql_products, 0},
    {"due_rows", sql_due_rows, 0},
    {"due_rows_next", sql_due_rows, MAPPING_NEXT_PAGE},
    {"due_count", sql_due_count, 0},
    {"late_rows", sql_late_rows, 0},
    {"begin", sql_begin, 0},
    {"active_rows", sql_active_rows, 0},
    {"tied_rows", sql_tied_rows, 0},
    {"lookup", sql_lookup, 0},
    {"stock", sql_stock, 0},
    {"stock_lock", sql_stock_lock, 0},
    {"stock_repair", sql_stock_repair, MAPPING_ONE_KEY},
    {"blockers", sql_blockers, 0},
    {"explain_holds", sql_explain_holds, 0},
    {"explain_counters", sql_explain_counters, 0},
    {"explain_sums", sql_explain_sums, 0},
};

static const char *statement(const char *name, const struct mapping_types *types, char **sql)
{
    for (size_t i = 0; i < ARRAY_LEN(statements); i++)
        if (strcmp(statements[i].name, name) == 0)
            *sql = rendered(statements[i].text, types, statements[i].form);
    return *sql;
}

/* Whether a statement for these tables says this. */
static bool says(const char *name, const struct mapping_types *types, const char *what)
{
    char *sql = NULL;
    bool found = strstr(statement(name, types, &sql), what) != NULL;
    free(sql);
    return found;
}

/* Whoever reads a time or an id of the reservations says which types it was made for. release_check
 * is in the transaction of a release, which holds the table. */
static void test_statements_are_guarded(void **state)
{
    (void)state;
    const struct mapping_types *const tables[] = {&schema, &other};
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
            const char *name = statements[i].name;
            char *sql = NULL;
            statement(name, tables[t], &sql);
            assert_null(strpbrk(sql, "{}"));
            assert_null(strstr(sql, "--"));
            if (strstr(sql, "<inventory_reservations> r") != NULL && strcmp(name, "check") != 0 &&
                strstr(sql, "EXACT_EXPIRES") == NULL)
                fail_msg("%s is not held to its types", name);
            free(sql);
        }
    }
}

static void test_the_forms_of_a_release(void **state)
{
    (void)state;
    assert_true(says("lean", &schema, "1 / CASE WHEN"));
    assert_false(says("lean", &schema, "<sweeper"));
    assert_true(says("careful", &schema, "<sweeper row>"));
    assert_true(says("careful", &schema, "SKIP LOCKED\n)"));
    assert_true(says("lean", &schema, "SKIP LOCKED\n)"));
    assert_true(says("waiting", &schema, "FOR NO KEY UPDATE OF i \n)"));
    assert_false(says("careful", &schema, "set_config"));
    assert_true(says("careful", &other, "set_config('reservation_sweeper.released'"));
    assert_false(says("waiting", &schema, "can be seen and not changed"));
    assert_false(says("careful", &other, "can be seen and not changed"));
    assert_true(says("waiting", &other, "can be seen and not changed"));
    static const char *const releases[] = {"lean", "careful", "waiting", "bulk"};
    for (size_t i = 0; i < ARRAY_LEN(releases); i++) {
        assert_false(says(releases[i], &schema, "CASE WHEN pg_catalog.bool_and("));
        assert_true(says(releases[i], &other, "CASE WHEN pg_catalog.bool_and("));
    }
    assert_true(says("due_rows", &schema, "OFFSET 0"));
    assert_false(says("due_rows_next", &schema, "OFFSET 0"));
}

/* Memory that runs out, or a link that is down, at each quoted name: no statement, never half. */
static void test_failures(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{reservations}", "{hold_keys}",       "{reservations_text}", "{typed}",
        "{i_is_s}",       "{and_not_endless}", "{quantity}",          "{queue_text}",
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
    t.rows_divided = true;
    expect_allowed(t, true, false);
    t = schema;
    t.counters_divided = true;
    expect_allowed(t, true, false);
    t = schema;
    t.id_unique = true;
    expect_allowed(t, true, true);
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

/* A queue of another shape, or whose release changes what the fast ways read afterwards. */
static void test_which_queues_are_allowed(void **state)
{
    (void)state;
    struct mapping_types t = schema;
    struct queue q = shop_queue;
    t.queue = &q;
    q.quantity.text = NULL;
    expect_allowed(t, true, true);
    q = shop_queue;
    q.stock.free.text = NULL;
    expect_allowed(t, false, false);
    q = shop_queue;
    q.stock.held.text = NULL;
    expect_allowed(t, false, false);
    q = shop_queue;
    q.stock.nkeys = 2;
    expect_allowed(t, false, false);
    q = shop_queue;
    q.deletes = true;
    q.released.text = NULL;
    expect_allowed(t, false, false);
    q = shop_queue;
    q.nalso = 1;
    expect_allowed(t, false, false);
    q = shop_queue;
    q.expires_unit = QUEUE_EXPIRES_S;
    expect_allowed(t, false, false);
    static const char *const set[] = {"quantity = 0", "product_id = NULL", "expires_at = NULL",
                                      "id = 1"};
    for (size_t i = 0; i < ARRAY_LEN(set); i++) {
        q = shop_queue;
        char text[32];
        snprintf(text, sizeof(text), "%s", set[i]);
        q.released.text = text;
        expect_allowed(t, false, false);
    }
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
        cmocka_unit_test(test_sql_of_the_operator),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_what_may_stand_between),
        cmocka_unit_test(test_statements_are_guarded),
        cmocka_unit_test(test_the_forms_of_a_release),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_what_is_allowed),
        cmocka_unit_test(test_which_queues_are_allowed),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
