/* Which setting a misspelt variable was meant for. */
#include "config/config_table.h"

#include "unit.h"

#include <string.h>

static void test_nearest(void **state)
{
    static const struct {
        const char *variable;
        const char *nearest;
        bool known;
    } rows[] = {
        {"SWEEPER_WORKERS", "SWEEPER_WORKERS", true},
        {"SWEEPER_ADMIN_TOKEN_FILE", "SWEEPER_ADMIN_TOKEN_FILE", true},
        {"SWEEPER_SCAN_INTERVAL", "SWEEPER_SCAN_INTERVAL", true},
        {"SWEEPER_RECONCILE_INTERVAL", "SWEEPER_RECONCILE_INTERVAL", true},
        {"SWEEPER_WORKER", "SWEEPER_WORKERS", false},
        {"SWEEPER_BATCHSIZE", "SWEEPER_BATCH_SIZE", false},
        {"SWEEPER_FEED_INTERVALL", "SWEEPER_FEED_INTERVAL", false},
        {"SWEEPER_LOOKAHED", "SWEEPER_LOOKAHEAD", false},
        {"SWEEPER_DATABASE_URL", "DATABASE_URL", false},
        {"SWEEPER_KEY_PREFIX_FILE", "SWEEPER_KEY_PREFIX", false},
        {"SWEEPER_workers", "SWEEPER_WORKERS", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool known = !rows[i].known;
        const char *nearest =
            config_nearest_variable(rows[i].variable, strlen(rows[i].variable), &known);
        assert_string_equal(nearest, rows[i].nearest);
        assert_int_equal(known, rows[i].known);
    }
}

static void test_long_and_empty(void **state)
{
    char variable[4096] = "SWEEPER_";
    bool known;
    (void)state;
    memset(variable + 8, 'X', sizeof(variable) - 8);
    assert_non_null(config_nearest_variable(variable, sizeof(variable), &known));
    assert_false(known);
    assert_non_null(config_nearest_variable("SWEEPER_", 8, &known));
    assert_false(known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_long_and_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
