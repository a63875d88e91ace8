/* What a piece of the operator's SQL may be: one condition, assignments, one statement. */
#include "config/queue_sql.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct queue shop(void)
{
    return (struct queue){
        .id = {"id", 2},
        .quantity = {"Quantity", 3},
        .active = {"status = 'active'", 4},
        .released = {"status = 'released'", 5},
        .stock = {.table = {.name = "inventory"},
                  .keys = {{{"variant_id", 6}, {"variant", 6}}},
                  .nkeys = 1,
                  .free = {"free", 7},
                  .held = {"held", 8}},
    };
}

/* expected: a piece of the sentence; NULL: it may be so. */
static void expect(const struct queue *queue, int line, const char *sql, const char *expected)
{
    char why[256] = "";
    int at = -1;
    int rc = queue_sql_check(queue, &at, why, sizeof(why));
    if (rc != (expected == NULL ? 0 : -1))
        fail_msg("<%s>: %d, %s", sql, rc, why);
    if (expected != NULL && (strstr(why, expected) == NULL || at != line))
        fail_msg("<%s>: %s (line %d)", sql, why, at);
}

static void test_conditions(void **state)
{
    (void)state;
    static const struct {
        char sql[80];
        const char *why;
    } rows[] = {
        {"true", NULL},
        {"a = 1 AND (b OR c)", NULL},
        {"a IN (1, 2) AND b = ANY (ARRAY[1, 2])", NULL},
        {"flags #> '{a,b}' = '1' -- note", NULL},
        {"a /* ) */ = ')'", NULL},
        {"r.select IS NULL AND \"select\" = 1", NULL},
        {"values > 3", NULL},
        {"a = $q$;$q$", NULL},
        {"substring(a FROM 1) = 'x'", NULL},
        {"a) OR (1=1", "active: a \")\" closes what nothing opened"},
        {"a] || ARRAY[b", "a \"]\" closes what nothing opened"},
        {"(a", "a bracket is opened and not closed"},
        {"a, true", "a \",\" follows the condition"},
        {"a; DROP TABLE b", "a \";\" ends it"},
        {"a;", "a \";\" ends it"},
        {"a /* b", "a comment (/*) has no end"},
        {"a = 'b", "a literal (') has no end"},
        {"a = $x$b", "a literal has no end"},
        {"\"a = 1", "a name in quotes (\") has no end"},
        {"a = $1", "$1 is a parameter"},
        {"a = {b}", "{b} is nothing here"},
        {"-- a", "there is nothing but a comment"},
        {"EXISTS (SELECT FROM b)", "SELECT reads what is not in the row"},
        {"a IN (TABLE b)", "TABLE reads what is not in the row"},
        {"a IN (VALUES (1))", "belongs in keep_while"},
        {"a IN (Select 1)", "Select reads"},
    };
    struct queue queue = shop(), counted = shop();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char sql[80], text[128] = "";
        memcpy(sql, rows[i].sql, sizeof(sql));
        queue.active = (struct queue_text){sql, 40};
        expect(&queue, 40, sql, rows[i].why);
        counted.stock.counted = (struct queue_text){sql, 41};
        if (rows[i].why != NULL && strncmp(rows[i].why, "active", 6) == 0)
            (void)snprintf(text, sizeof(text), "stock.counted%s", rows[i].why + 6);
        expect(&counted, 41, sql, rows[i].why == NULL || text[0] == '\0' ? rows[i].why : text);
    }
}

static void test_assignments(void **state)
{
    (void)state;
    static const struct {
        char sql[80];
        const char *why;
    } rows[] = {
        {"status = 'released', updated_at = now()", NULL},
        {"a = b IS DISTINCT FROM c", NULL},
        {"a = extract(epoch FROM now())", NULL},
        {"a = (SELECT max(x) FROM b WHERE c)", NULL},
        {"(a, b) = (SELECT id, quantity FROM c)", NULL},
        {"a = id, b = quantity", NULL},
        {"a = (1, id)", NULL},
        {"\"ID\" = 1, \"id2\" = 2, quantity2 = 3", NULL},
        {"quantity = 0", NULL}, /* the column is "Quantity" */
        {"id = 1", "released: it sets id, which has to stay"},
        {"a = 1, ID = 2", "it sets id"},
        {"a = 1, \"id\" = 2", "it sets id"},
        {"a = 1, \"Quantity\" = 2", "it sets Quantity"},
        {"(a, Variant_id) = (1, 2)", "it sets variant_id"},
        {"a = 1, (\"id\", b) = (1, 2)", "it sets id"},
        {"a[1] = 1, id = 2", "it sets id"},
        {"a = 1 FROM b", "FROM follows the assignments"},
        {"a = 1 where true", "where follows the assignments"},
        {"a = 1 RETURNING a", "RETURNING follows the assignments"},
        {"a = 1; b", "a \";\" ends it"},
        {"a = (1", "is opened and not closed"},
        {"a = 1)", "closes what nothing opened"},
        {"a = 1 /*", "a comment (/*) has no end"},
        {"a = {released}", "{released} is nothing here"},
        {"a = $2", "$2 is a parameter"},
    };
    struct queue queue = shop();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char sql[80];
        memcpy(sql, rows[i].sql, sizeof(sql));
        queue.released = (struct queue_text){sql, 50};
        expect(&queue, 50, sql, rows[i].why);
    }
    static const struct {
        char sql[40];
        const char *why;
    } sets[] = {
        {"updated_at = now()", NULL},
        {"variant_id = 1", NULL}, /* that is the hold's */
        {"Variant = 1", "stock.set: it sets variant"},
        {"free = 0", "it sets free"},
        {"a = 1, held = 0", "it sets held"},
    };
    queue = shop();
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        char sql[40];
        memcpy(sql, sets[i].sql, sizeof(sql));
        queue.stock.set = (struct queue_text){sql, 60};
        expect(&queue, 60, sql, sets[i].why);
    }
}

static void test_statements(void **state)
{
    (void)state;
    static const struct {
        char sql[128];
        const char *why;
    } rows[] = {
        {"INSERT INTO outbox SELECT id FROM {released}", NULL},
        {"update a set b = 1 from {released} x where x.id = a.id;", NULL},
        {"DELETE FROM a USING {released} x WHERE x.id = a.id; -- end", NULL},
        {"MERGE INTO a USING {released} x ON true WHEN MATCHED THEN DO NOTHING", NULL},
        {"SELECT f(id) FROM {released}", NULL},
        {"WITH x AS (SELECT id FROM {released}) DELETE FROM a USING x", NULL},
        {"WITH x AS (INSERT INTO a SELECT id FROM {released} RETURNING b) SELECT b FROM x", NULL},
        {"COMMIT", "also: a statement that begins with \"COMMIT\" is not allowed"},
        {"SET a = 1", "\"SET\" is not allowed"},
        {"CALL f()", "\"CALL\" is not allowed"},
        {"DO $$ x {released} $$", "\"DO\" is not allowed"},
        {"CREATE TABLE a AS SELECT id FROM {released}", "\"CREATE\" is not allowed"},
        {"TRUNCATE a", "\"TRUNCATE\" is not allowed"},
        {"ANALYZE a", "\"ANALYZE\" is not allowed"},
        {"(ANALYZE) SELECT id FROM {released}", "\"(\" is not allowed"},
        {"EXPLAIN SELECT id FROM {released}", "\"EXPLAIN\" is not allowed"},
        {"PREPARE TRANSACTION 'x'", "\"PREPARE\" is not allowed"},
        {"\"select\" id FROM {released}", "is not allowed"},
        {"/* SELECT */ COMMIT", "\"COMMIT\" is not allowed"},
        {"SELECT id INTO a FROM {released}", "SELECT ... INTO is not allowed"},
        {"WITH x AS (SELECT 1) SELECT id INTO a FROM {released}", "INTO is not allowed"},
        {"SELECT 1", "does not name {released}"},
        {"SELECT '{released}'", "does not name {released}"},
        {"SELECT 1 -- {released}", "does not name {released}"},
        {"SELECT id FROM \"{released}\"", "does not name {released}"},
        {"SELECT id FROM {relased}", "{relased} is nothing here: {released} is what was released"},
        {"SELECT id FROM {released}; COMMIT", "a \";\" ends it before its end: one statement"},
        {"SELECT id FROM {released};;", "a \";\" ends it before its end"},
        {"; SELECT id FROM {released}", "a \";\" ends it"},
        {"SELECT id FROM {released} WHERE id = $1", "$1 is a parameter"},
        {"SELECT id FROM {released} /*", "has no end"},
        {"SELECT (id FROM {released}", "is opened and not closed"},
        {"-- nothing", "there is nothing but a comment"},
    };
    struct queue queue = shop();
    char first[] = "SELECT FROM {released}";
    queue.also[0] = (struct queue_text){first, 70};
    queue.nalso = 2;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char sql[128];
        memcpy(sql, rows[i].sql, sizeof(sql));
        queue.also[1] = (struct queue_text){sql, 71};
        expect(&queue, 71, sql, rows[i].why);
    }
}

static void test_queries(void **state)
{
    (void)state;
    static const struct {
        char sql[96];
        const char *why;
    } rows[] = {
        {"SELECT a FROM b WHERE c", NULL},
        {"select a, b from c; -- end", NULL},
        {"WITH x AS (SELECT 1) SELECT * FROM x", NULL},
        {"TABLE a", NULL},
        {"VALUES (1), (2)", NULL},
        {"SELECT substring(a FOR 2), b AS \"for\", r.for, update FROM c", NULL},
        {"SELECT overlay(a PLACING b FROM 1 FOR no)", NULL},
        {"SELECT substring(a FOR key)", NULL},
        {"DELETE FROM a", "verify: a query that begins with \"DELETE\" is not allowed"},
        {"(SELECT 1)", "\"(\" is not allowed"},
        {"EXPLAIN SELECT 1", "\"EXPLAIN\" is not allowed"},
        {"SELECT a FROM b FOR UPDATE", "only reads is wanted"},
        {"SELECT a FROM (SELECT 1 for no key update) c", "only reads is wanted"},
        {"SELECT a FROM b FOR SHARE OF b", "only reads is wanted"},
        {"SELECT a FROM b FOR KEY SHARE", "only reads is wanted"},
        {"SELECT a INTO b FROM c", "INTO is not allowed"},
        {"SELECT 1; SELECT 2", "a \";\" ends it before its end: one query"},
        {"SELECT 1) x, (SELECT 2", "a \")\" closes what nothing opened: one query"},
        {"SELECT (1", "is opened and not closed"},
        {"SELECT a FROM {released}", "{released} is nothing here"},
        {"SELECT $1", "$1 is a parameter"},
        {"-- nothing", "there is nothing but a comment: one query"},
    };
    struct queue queue = shop();
    queue.verify[0] = (struct queue_text){"SELECT 1", 80};
    queue.nverify = 2;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char sql[96];
        memcpy(sql, rows[i].sql, sizeof(sql));
        queue.verify[1] = (struct queue_text){sql, 81};
        expect(&queue, 81, sql, rows[i].why);
    }
}

/* Rows that are deleted have no assignments. */
static void test_absent(void **state)
{
    (void)state;
    struct queue queue = shop();
    queue.released = (struct queue_text){NULL, 0};
    queue.deletes = true;
    expect(&queue, 0, "delete", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conditions), cmocka_unit_test(test_assignments),
        cmocka_unit_test(test_statements), cmocka_unit_test(test_queries),
        cmocka_unit_test(test_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
