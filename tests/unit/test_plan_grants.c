/* The rights that plans ask for, read from their lines. */
#include "app/plan_grants.h"
#include "link/pg_link.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

/* ---- a plan, in place of pg_result.c ---- */

static const char *const *plan;

int pg_result_rows(const struct pg_result *r)
{
    int n = 0;
    (void)r;
    while (plan[n] != NULL)
        n++;
    return n;
}

const char *pg_result_text(const struct pg_result *r, int row, int column)
{
    (void)r;
    assert_int_equal(column, 0);
    return plan[row];
}

/* ---- tests ---- */

static struct plan_grants grants;

static int forget(void **state)
{
    (void)state;
    plan_grants_clear(&grants);
    return 0;
}

static void add(const char *const *lines)
{
    plan = lines;
    assert_int_equal(plan_grants_add(&grants, NULL), 0);
}

static void assert_printed(const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    plan_grants_print(&grants, "sweeper", out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static const char *const update[] = {
    "Update on public.orders",
    "  ->  Hash Join",
    "        Output: 'ENDED'::text, orders.ctid",
    "        ->  Seq Scan on public.orders",
    "        ->  Subquery Scan on h",
    "              ->  LockRows",
    "                    ->  Index Scan using orders_pkey on public.orders orders_1",
    NULL,
};

/* UPDATE of what is changed, SELECT of what is read, UPDATE of what is locked: one line. */
static void test_a_table_has_one_line(void **state)
{
    (void)state;
    add(update);
    assert_printed("GRANT SELECT, UPDATE ON public.orders TO sweeper;\n");
}

static void test_what_is_locked_is_updated(void **state)
{
    static const char *const lock[] = {"LockRows", "  ->  Seq Scan on public.desks", NULL};
    (void)state;
    add(lock);
    assert_printed("GRANT SELECT, UPDATE ON public.desks TO sweeper;\n");
}

static void test_a_table_of_two_plans_has_one_line(void **state)
{
    static const char *const insert[] = {
        "Insert on public.orders", "  ->  Result",
        "        Output: nextval('orders_id_seq'::regclass), nextval('orders_id_seq'::regclass)",
        NULL};
    static const char *const read[] = {"Seq Scan on public.order", NULL};
    (void)state;
    add(update);
    add(insert);
    add(insert);
    add(read);
    assert_printed("GRANT SELECT, INSERT, UPDATE ON public.orders TO sweeper;\n"
                   "GRANT USAGE ON SEQUENCE orders_id_seq TO sweeper;\n"
                   "GRANT SELECT ON public.order TO sweeper;\n");
}

static void test_a_conflict_reads_its_columns(void **state)
{
    static const char *const nothing[] = {
        "Insert on \"My shop\".\"The \"\"desk\"\"\" d", "  Conflict Resolution: NOTHING",
        "  Conflict Arbiter Indexes: desk_pkey",
        "  ->  Function Scan on pg_catalog.jsonb_to_recordset r", NULL};
    static const char *const update_it[] = {
        "Insert on public.events", "  Conflict Resolution: UPDATE",
        "  Conflict Arbiter Indexes: events_pkey", "  ->  Result", NULL};
    static const char *const any[] = {"Insert on public.lines", "  Conflict Resolution: NOTHING",
                                      "  ->  Result", NULL};
    (void)state;
    add(nothing);
    add(update_it);
    add(any);
    assert_printed("GRANT SELECT, INSERT ON \"My shop\".\"The \"\"desk\"\"\" TO sweeper;\n"
                   "GRANT SELECT, INSERT, UPDATE ON public.events TO sweeper;\n"
                   "GRANT INSERT ON public.lines TO sweeper;\n");
}

static void test_what_is_returned_is_read(void **state)
{
    static const char *const returning[] = {"CTE Scan on e",
                                            "  Output: e.id",
                                            "  CTE e",
                                            "    ->  Insert on public.events",
                                            "          Output: events.id",
                                            "          ->  Result",
                                            "                Output: 1",
                                            NULL};
    (void)state;
    add(returning);
    assert_printed("GRANT SELECT, INSERT ON public.events TO sweeper;\n");
}

static void test_what_is_given_has_no_line(void **state)
{
    static const char *const join[] = {"Nested Loop", "  ->  Seq Scan on public.holds r",
                                       "  ->  Seq Scan on public.payments p", NULL};
    static const char *const delete[] = {"Delete on public.holds", "  ->  Seq Scan on public.holds",
                                         NULL};
    (void)state;
    assert_int_equal(plan_grants_given(&grants, "public.holds", PLAN_SELECT), 0);
    add(join);
    assert_printed("GRANT SELECT ON public.payments TO sweeper;\n");
    add(delete);
    assert_printed("GRANT DELETE ON public.holds TO sweeper;\n"
                   "GRANT SELECT ON public.payments TO sweeper;\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_table_has_one_line, forget),
        cmocka_unit_test_teardown(test_what_is_locked_is_updated, forget),
        cmocka_unit_test_teardown(test_a_table_of_two_plans_has_one_line, forget),
        cmocka_unit_test_teardown(test_a_conflict_reads_its_columns, forget),
        cmocka_unit_test_teardown(test_what_is_returned_is_read, forget),
        cmocka_unit_test_teardown(test_what_is_given_has_no_line, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
