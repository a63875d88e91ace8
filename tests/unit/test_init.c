/* What --init takes a table for, and what it writes of it. */
#include "app/init_draft.h"
#include "app/init_guess.h"
#include "app/init_words.h"
#include "app/init_yaml.h"
#include "config/queue.h"

#include "config_line.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *document;
static char *draft;

static int forget(void **state)
{
    json_decref(document);
    document = NULL;
    free(draft);
    draft = NULL;
    return config_teardown(state);
}

static struct init_guess guess_of(const char *text)
{
    json_error_t error;
    document = json_loads(text, 0, &error);
    if (document == NULL)
        fail_msg("%s", error.text);
    return init_guess(document);
}

static const char *draft_of(const char *text)
{
    size_t size = 0;
    struct init_guess g = guess_of(text);
    FILE *out = open_memstream(&draft, &size);
    assert_non_null(out);
    init_draft_queue(out, &g, "shop");
    assert_int_equal(fclose(out), 0);
    return draft;
}

#define COLUMN(name, kind)                                                                         \
    "{\"name\": \"" name "\", \"ident\": \"" name "\", \"kind\": \"" kind "\"}"
#define KEY(name)                                                                                  \
    "{\"name\": \"" name "\", \"ident\": \"" name "\", \"kind\": \"uuid\", \"primary\": true}"
#define TABLE(name, columns) "{\"table\": \"" name "\", \"columns\": [" columns "]}"
#define HOLD KEY("id") ", " COLUMN("expires_at", "timestamptz")

static void test_names_sound_however_they_are_written(void **state)
{
    (void)state;
    static const char *const expiries[] = {"expires_at", "expiresAt",      "EXPIRES_AT",
                                           "Expires At", "reserved_until", "validUntil",
                                           "expiry",     "hold-expires",   "expiresat"};
    static const char *const others[] = {"expired_at", "created_at", "unexpired", "expiredAt", ""};
    for (size_t i = 0; i < sizeof(expiries) / sizeof(expiries[0]); i++)
        if (!init_sounds(SOUNDS_EXPIRY, expiries[i]))
            fail_msg("%s", expiries[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (init_sounds(SOUNDS_EXPIRY, others[i]))
            fail_msg("%s", others[i]);
}

static void test_a_table_is_a_hold_by_what_stands_beside_its_expiry(void **state)
{
    (void)state;
    assert_int_equal(guess_of(TABLE("sessions", HOLD)).score, 0);
    json_decref(document);
    assert_int_equal(guess_of(TABLE("reservations", COLUMN("expires_at", "text"))).score, 0);
    json_decref(document);
    assert_int_equal(guess_of(TABLE("reservations", HOLD)).score, 4);
    json_decref(document);
    assert_int_equal(guess_of(TABLE("sessions", HOLD ", " COLUMN("status", "text"))).score, 1);
    json_decref(document);
    assert_int_equal(guess_of(TABLE("lines", HOLD ", " COLUMN("quantity", "integer"))).score, 2);
}

static void test_a_time_without_a_zone_is_a_time(void **state)
{
    (void)state;
    struct init_guess g =
        guess_of(TABLE("holds", KEY("id") ", " COLUMN("expires_at", "timestamp")));
    assert_int_equal(g.expires.n, 1);
}

static void test_the_unit_of_numbers_is_known_by_their_span(void **state)
{
    (void)state;
    static const struct {
        const char *values, *unit;
    } cases[] = {
        {"[]", NULL},
        {"[\"0\", \"9223372036854775807\"]", NULL},
        {"[\"1700000000\"]", "s"},
        {"[\"1700000000000\", \"0\"]", "ms"},
        {"[\"978307200\"]", "s"},
        {"[\"978307199\"]", NULL},
        {"[\"253402300799\"]", "s"},
        {"[\"978307200000\"]", "ms"},
        {"[\"253402300799999\"]", "ms"},
        {"[\"253402300800000\"]", NULL},
        {"[\"1700000000\", \"1700000000000\"]", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *values = json_loads(cases[i].values, 0, NULL);
        const char *unit = init_unit_of(values);
        if (cases[i].unit == NULL ? unit != NULL : unit == NULL || strcmp(unit, cases[i].unit) != 0)
            fail_msg("%s: %s", cases[i].values, unit == NULL ? "none" : unit);
        json_decref(values);
    }
}

static void test_one_value_may_sound_so_not_two(void **state)
{
    (void)state;
    document =
        json_loads("[\"ACTIVE\", \"INACTIVE\", \"RELEASED\", \"EXPIRED\", \"free\\n\"]", 0, NULL);
    assert_string_equal(init_value_like(document, SOUNDS_ACTIVE), "ACTIVE");
    assert_null(init_value_like(document, SOUNDS_OVER));
}

#define COUNTERS(columns, more)                                                                    \
    "{\"table\": \"holds\", \"columns\": [" HOLD ", " COLUMN(                                      \
        "sku",                                                                                     \
        "text") "], \"counters\": ["                                                               \
                "{\"table\": \"stock\", \"keys\": [[\"sku\", \"sku\"]], \"columns\": [" COLUMN(    \
                    "sku", "text") ", " columns "]" more "}]}"
#define THREE                                                                                      \
    COLUMN("reserved", "integer")                                                                  \
    ", " COLUMN("available", "integer") ", " COLUMN("on_hand", "integer")

static void test_a_sum_is_one_only_where_the_database_says_so(void **state)
{
    (void)state;
    const struct init_guess g = guess_of(COUNTERS(THREE, ""));
    assert_int_equal(g.ncounters, 1);
    assert_int_equal(g.counter.free.n, 1);
    assert_int_equal(g.counter.held.n, 1);
    assert_int_equal(g.counter.total.n, 1);
    assert_false(g.counter.sum);
    json_decref(document);
    assert_true(
        guess_of(COUNTERS(THREE, ", \"sums\": [[\"on_hand\", \"available\", \"reserved\"]]"))
            .counter.sum);
    json_decref(document);
    assert_int_equal(
        guess_of(COUNTERS(COLUMN("reserved", "integer") ", " COLUMN("on_hand", "integer"), ""))
            .counter.total.n,
        0);
}

static void test_what_is_not_known_has_no_value(void **state)
{
    (void)state;
    const char *text = draft_of(COUNTERS(THREE, ""));
    assert_non_null(strstr(text, "\n  id: id\n"));
    assert_non_null(strstr(text, "\n  expires_at: expires_at\n"));
    assert_non_null(strstr(text, "\n  active:\n"));
    assert_non_null(strstr(text, "\n  released:\n"));
    assert_non_null(strstr(text, "\n  # released: delete\n"));
    assert_non_null(
        strstr(text, "\n    key: {sku: sku}\n    free: available\n    held: reserved\n"));
    assert_non_null(strstr(text, "\n    total:\n    # total: on_hand\n"));
}

/* What the reader gives back of a name. */
static void expect_read_back(const char *schema, const char *table, const char *column)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    fputs("q:\n  table: ", out);
    init_yaml_table(out, schema, table);
    fputs("\n  active: a\n  released: b = 1\n  stock:\n    table: t\n    free: f\n    key: {", out);
    init_yaml_column(out, column);
    fputs(": ", out);
    init_yaml_column(out, column);
    fputs("}\n  id: ", out);
    init_yaml_column(out, column);
    fputc('\n', out);
    assert_int_equal(fclose(out), 0);
    setenv("SWEEPER_QUEUES", text, 1);
    expect_taken("");
    const struct queue *q = config.queue;
    assert_string_equal(q->table.name, table);
    if (schema == NULL)
        assert_null(q->table.schema);
    else
        assert_string_equal(q->table.schema, schema);
    assert_string_equal(q->id.text, column);
    assert_string_equal(q->stock.keys[0].hold.text, column);
    assert_string_equal(q->stock.keys[0].counter.text, column);
    config_clear(&config);
    free(text);
}

static void test_the_reader_gives_names_back(void **state)
{
    (void)state;
    static const char *const names[] = {
        "plain", "Hold Id", "a.b",      "\"",         "\"\"",    "\"quoted\"", "a\"b",
        "'",     "it's",    "\\",       "a\\\"b",     "#",       "a #b",       ": ",
        "a: b",  "- x",     "{a}",      "[a]",        "&a",      "*a",         "!a",
        "|",     ">",       "%x",       "@x",         "`x",      "?",          "~",
        "null",  "true",    "<<",       " ",          " a ",     "a, b",       "-",
        "größe", "日本",    "a\u2028b", "a\302\205b", "\ufeffa", "🪑.x",     "a\u2029.\"b",
    };
    const size_t n = sizeof(names) / sizeof(names[0]);
    for (size_t i = 0; i < n; i++) {
        expect_read_back(NULL, names[i], names[n - 1 - i]);
        expect_read_back(names[n - 1 - i], names[i], names[i]);
    }
}

static void test_no_comment_becomes_a_line(void **state)
{
    (void)state;
    const char *text = draft_of(
        "{\"table\": \"holds\", \"columns\": [" HOLD
        ", {\"name\": \"status\", \"ident\": \"status\","
        " \"kind\": \"text\", \"values\": [\"held\\n  active: true\", \"x\\u2028y\\u0085z\\r\"],"
        " \"preset\": \"new\\nline: 1\"}], \"triggers\": [\"a\\nb\"], \"children\": [\"c\\rd\"]}");
    assert_non_null(strstr(text, "'held?  active: true'"));
    assert_null(strstr(text, "\n  active: t"));
    assert_null(strchr(text, '\r'));
    for (const char *line = strchr(text, '\n'); line != NULL && line[1] != '\0';
         line = strchr(line + 1, '\n'))
        if (line[1] != ' ' && line[1] != '#' && strncmp(line + 1, "shop:", 5) != 0)
            fail_msg("%s", line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_sound_however_they_are_written),
        cmocka_unit_test_setup_teardown(test_a_table_is_a_hold_by_what_stands_beside_its_expiry,
                                        config_setup, forget),
        cmocka_unit_test_setup_teardown(test_a_time_without_a_zone_is_a_time, config_setup, forget),
        cmocka_unit_test(test_the_unit_of_numbers_is_known_by_their_span),
        cmocka_unit_test_setup_teardown(test_one_value_may_sound_so_not_two, config_setup, forget),
        cmocka_unit_test_setup_teardown(test_a_sum_is_one_only_where_the_database_says_so,
                                        config_setup, forget),
        cmocka_unit_test_setup_teardown(test_what_is_not_known_has_no_value, config_setup, forget),
        cmocka_unit_test_setup_teardown(test_the_reader_gives_names_back, config_setup, forget),
        cmocka_unit_test_setup_teardown(test_no_comment_becomes_a_line, config_setup, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
