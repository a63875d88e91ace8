/* The queue that is built in, and the same queue from a file, make the same statements. */
#include "store/mapping.h"

#include "config/queues.h"
#include "store/sql_texts.h"

#include "config_line.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In place of pg_quote.c, which needs a connection. */
char *pg_link_quote_ident(struct pg_link *link, const char *name);
char *pg_link_quote_literal(struct pg_link *link, const char *text);

static char *quoted(const char *format, const char *text)
{
    char *out = NULL;
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

/* As the interface has it, with SQL on a line and as a block. */
static const char *const files[] = {
    "reservations:\n"
    "  table: inventory_reservations\n"
    "  id: id\n"
    "  expires_at: expires_at\n"
    "  quantity: quantity\n"
    "  active: status = 'active'\n"
    "  released: status = 'released', updated_at = now()\n"
    "  stock:\n"
    "    table: inventory\n"
    "    key: {product_id: product_id}\n"
    "    free: available_stock\n"
    "    held: reserved_stock\n"
    "    total: total_stock\n"
    "    set: updated_at = now()\n",
    "reservations:\n"
    "  stock:\n"
    "    held: reserved_stock\n"
    "    free: available_stock\n"
    "    total: total_stock\n"
    "    set: |\n"
    "      updated_at = now()\n"
    "    key:\n"
    "      product_id: product_id\n"
    "    table: inventory\n"
    "  table: inventory_reservations\n"
    "  quantity: quantity\n"
    "  active: |\n"
    "    status = 'active'\n"
    "  released: |\n"
    "    status = 'released', updated_at = now()\n",
};

static const struct {
    const char *text;
    unsigned form;
} statements[] = {
    {sql_release, 0},      {sql_release, MAPPING_LEAN}, {sql_release, MAPPING_WAITING},
    {sql_release_bulk, 0}, {sql_release_backlog, 0},    {sql_release_check, 0},
    {sql_products, 0},     {sql_due_rows, 0},           {sql_due_rows, MAPPING_NEXT_PAGE},
    {sql_due_count, 0},    {sql_late_rows, 0},          {sql_begin, 0},
    {sql_active_rows, 0},  {sql_tied_rows, 0},          {sql_lookup, 0},
    {sql_stock, 0},        {sql_stock_lock, 0},         {sql_stock_repair, 0},
    {sql_blockers, 0},     {sql_explain_holds, 0},      {sql_explain_counters, 0},
    {sql_explain_sums, 0},
};

static struct mapping_types types_of(const struct queue *queue)
{
    return (struct mapping_types){
        .queue = queue,
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
        .key_types = {"KEY_TYPE"},
    };
}

/* All statements of the queue that the settings say. */
static void render_all(char *out[ARRAY_LEN(statements)])
{
    expect_taken("");
    assert_int_equal(config_queues(&config), 1);
    struct mapping_types types = types_of(config_queue(&config, 0)->queue);
    assert_true(mapping_allows_lean(&types));
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        out[i] = mapping_render(statements[i].text, &types, statements[i].form, NULL);
        assert_non_null(out[i]);
    }
}

static void test_alike(void **state)
{
    (void)state;
    char *built_in[ARRAY_LEN(statements)], *of_file[ARRAY_LEN(statements)];
    render_all(built_in);
    for (size_t f = 0; f < ARRAY_LEN(files); f++) {
        setenv("SWEEPER_QUEUES", files[f], 1);
        render_all(of_file);
        unsetenv("SWEEPER_QUEUES");
        assert_non_null(config_queue(&config, 0)->queue->file);
        for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
            assert_string_equal(of_file[i], built_in[i]);
            free(of_file[i]);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(statements); i++)
        free(built_in[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_alike, config_setup, config_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
