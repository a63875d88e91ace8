/* A queues file that is read anew: which of its queues have changed. */
#include "config/queues.h"

#include "config_line.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char base[] = "seats:\n"
                           "  table: shop.seats\n"
                           "  id: cart\n"
                           "  expires_at: until\n"
                           "  expires_unit: ms\n"
                           "  time_zone: UTC\n"
                           "  after: 15m\n"
                           "  quantity: units\n"
                           "  active: a\n"
                           "  released: b = 1\n"
                           "  stock:\n"
                           "    table: stocks\n"
                           "    key: {v: w}\n"
                           "    free: f\n"
                           "    held: h\n"
                           "    total: t\n"
                           "    set: s = 1\n"
                           "    counted: c\n"
                           "  carry: [one, two]\n"
                           "  also:\n"
                           "    - SELECT 1 FROM {released}\n"
                           "  verify: [SELECT 3, SELECT 4]\n"
                           "  database: SHOP\n"
                           "  settings: {app.tenant: 7, role: shop}\n"
                           "  notify: told\n"
                           "  batch_size: 7\n"
                           "  workers: 2\n";

static char path[40];

/* The file has `now` where base has `was`. */
static void write_file(const char *was, const char *now)
{
    FILE *out = fopen(path, "w");
    const char *at = strstr(base, was);
    assert_non_null(out);
    assert_non_null(at);
    assert_true(fprintf(out, "%.*s%s%s", (int)(at - base), base, now, at + strlen(was)) > 0);
    assert_int_equal(fclose(out), 0);
}

static void begin(const char *was, const char *now)
{
    snprintf(path, sizeof(path), "/tmp/test_queue_same.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_file(was, now);
    setenv("SWEEPER_QUEUES_FILE", path, 1);
    setenv("SHOP_DATABASE_URL", "host=a", 1);
    setenv("MALL_DATABASE_URL", "host=b", 1);
    expect_taken("");
}

static bool same_after(const char *was, const char *now)
{
    struct config fresh;
    char error[512] = "";
    write_file(was, now);
    int rc = config_reload(&fresh, &config, error, sizeof(error));
    assert_string_equal(error, "");
    assert_int_equal(rc, 0);
    bool same = config_queue_same(config_queue(&config, 0), config_queue(&fresh, 0));
    config_reload_clear(&fresh);
    return same;
}

static void test_same(void **state)
{
    (void)state;
    begin("", "");
    assert_true(same_after("", ""));
    assert_true(same_after("", "# a line more\n\n"));
    assert_true(same_after("  after: 15m\n", "  after: 900s\n"));
    assert_true(same_after("  active: a\n", "  active: |\n    a\n"));
    unlink(path);
}

static void test_every_change(void **state)
{
    static const char *const changes[][2] = {
        {"seats:", "chairs:"},
        {"shop.seats", "seats"},
        {"shop.seats", "mall.seats"},
        {"shop.seats", "shop.chairs"},
        {"id: cart", "id: id"},
        {"until", "then"},
        {"ms", "s"},
        {"UTC", "CET"},
        {"15m", "16m"},
        {"quantity: units", "quantity: 1"},
        {"active: a", "active: b"},
        {"released: b = 1", "released: b = 2"},
        {"released: b = 1", "released: delete"},
        {"stocks", "stock"},
        {"{v: w}", "{v: x}"},
        {"{v: w}", "{x: w}"},
        {"{v: w}", "{v: w, x: x}"},
        {"free: f", "free: g"},
        {"held: h", "held: i"},
        {"total: t", "total: u"},
        {"    set: s = 1\n", ""},
        {"counted: c", "counted: d"},
        {"[one, two]", "[one]"},
        {"[one, two]", "[two, one]"},
        {"SELECT 1", "SELECT 2"},
        {"  also:\n    - SELECT 1 FROM {released}\n", ""},
        {"[SELECT 3, SELECT 4]", "[SELECT 3]"},
        {"SELECT 4", "SELECT 5"},
        {"SHOP", "MALL"},
        {"  database: SHOP\n", ""},
        {"batch_size: 7", "batch_size: 8"},
        {"tenant: 7", "tenant: 8"},
        {"notify: told", "notify: tells"},
        {"  notify: told\n", ""},
        {"tenant: 7", "tenants: 7"},
        {", role: shop", ""},
        {"  workers: 2\n", ""},
        {"  workers: 2\n", "  workers: 2\n  pace: 1ms\n"},
        /* Another queue with these counters: its holds are added up with these. */
        {"  workers: 2\n", "  workers: 2\nmall: {table: m, active: a, released: delete, database: "
                           "SHOP, stock: {table: stocks, key: {v: w}, held: h}}\n"},
    };
    (void)state;
    begin("", "");
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        if (same_after(changes[i][0], changes[i][1]))
            fail_msg("%s for %s is no change", changes[i][1], changes[i][0]);
    unlink(path);
}

static const char mall[] =
    "  workers: 2\n"
    "mall:\n"
    "  {table: m, quantity: q, active: a, released: delete, database: SHOP,\n"
    "   stock: {table: stocks, key: {v: w}, held: h, counted: c}}\n";

/* Of a queue that shares the counters what it adds to their sums. */
static void test_who_shares(void **state)
{
    static const char *const changes[][2] = {
        {"table: m", "table: n"},   {"quantity: q", "quantity: 1"},
        {"active: a", "active: b"}, {"counted: c", "counted: d"},
        {"{v: w}", "{x: w}"},       {"held: h", "held: i"},
        {"{v: w}", "{v: w, y: z}"}, {"table: stocks", "table: s.stocks"},
    };
    char now[sizeof(mall) + 32];
    (void)state;
    begin("  workers: 2\n", mall);
    assert_true(same_after("  workers: 2\n", mall));
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        const char *at = strstr(mall, changes[i][0]);
        assert_non_null(at);
        snprintf(now, sizeof(now), "%.*s%s%s", (int)(at - mall), mall, changes[i][1],
                 at + strlen(changes[i][0]));
        if (same_after("  workers: 2\n", now))
            fail_msg("%s for %s is no change", changes[i][1], changes[i][0]);
    }
    unlink(path);
}

static void test_functions(void **state)
{
    static const char *const calls[] = {"call: f", "call: s.f", "call: s.g", "released: delete"};
    (void)state;
    begin("", "");
    for (size_t i = 0; i + 1 < ARRAY_LEN(calls); i++) {
        struct config former, fresh;
        char error[512] = "";
        char queue[2][64];
        for (size_t j = 0; j < 2; j++) {
            snprintf(queue[j], sizeof(queue[j]), "m: {table: m, active: true, %s}\n", calls[i + j]);
            FILE *out = fopen(path, "w");
            assert_non_null(out);
            fputs(queue[j], out);
            fclose(out);
            assert_int_equal(
                config_reload(j == 0 ? &former : &fresh, &config, error, sizeof(error)), 0);
        }
        assert_false(config_queue_same(config_queue(&former, 0), config_queue(&fresh, 0)));
        config_reload_clear(&former);
        config_reload_clear(&fresh);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_every_change, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_who_shares, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_functions, config_setup, config_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
