/* The queues file: what is read from it, the settings of each queue, and that the reader and the
 * document know the same keys. What is refused: test_queues_refused.c. */
#include "config/queues.h"

#include "config/queue.h"
#include "config/queue_read.h"
#include "config_line.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAST "table: t, active: a, released: delete"

static const struct queue *queue_of(int i)
{
    return config_queue(&config, i)->queue;
}

static void expect_queues(const char *text)
{
    setenv("SWEEPER_QUEUES", text, 1);
    expect_taken("");
    assert_ptr_equal(config.queue, queue_of(0));
}

static void expect_text(const struct queue_text *text, const char *value, int line)
{
    if (value == NULL) {
        assert_null(text->text);
        return;
    }
    assert_non_null(text->text);
    assert_string_equal(text->text, value);
    assert_int_equal(text->line, line);
}

static void test_built_in(void **state)
{
    char place[40] = "#";
    (void)state;
    expect_taken("");
    assert_int_equal(config_queues(&config), 1);
    const struct queue *q = config.queue;
    assert_ptr_equal(q, queue_of(0));
    assert_string_equal(q->name, "reservations");
    assert_null(q->file);
    assert_string_equal(q->table.name, "inventory_reservations");
    assert_null(q->table.schema);
    expect_text(&q->id, "id", 0);
    expect_text(&q->expires_at, "expires_at", 0);
    expect_text(&q->quantity, "quantity", 0);
    assert_int_equal(q->expires_unit, QUEUE_EXPIRES_TIME);
    expect_text(&q->time_zone, "UTC", 0);
    assert_int_equal(q->after_us, 0);
    expect_text(&q->active, "status = 'active'", 0);
    expect_text(&q->released, "status = 'released', updated_at = now()", 0);
    assert_false(q->deletes);
    assert_string_equal(q->stock.table.name, "inventory");
    assert_int_equal(q->stock.nkeys, 1);
    expect_text(&q->stock.keys[0].hold, "product_id", 0);
    expect_text(&q->stock.keys[0].counter, "product_id", 0);
    expect_text(&q->stock.free, "available_stock", 0);
    expect_text(&q->stock.held, "reserved_stock", 0);
    expect_text(&q->stock.total, "total_stock", 0);
    expect_text(&q->stock.set, "updated_at = now()", 0);
    expect_text(&q->stock.counted, NULL, 0);
    assert_int_equal(q->ncarry + q->nalso, 0);
    expect_text(&q->database, NULL, 0);
    queue_place(q, 0, place, sizeof(place));
    assert_string_equal(place, "");
    assert_string_equal(config_queue(&config, 0)->key_prefix, "reservations");
    expect_taken("--key-prefix shop");
    assert_string_equal(config_queue(&config, 0)->key_prefix, "shop");
}

/* Every key that there is, in a file's own words. */
static void test_every_key(void **state)
{
    char place[40];
    (void)state;
    expect_queues("# comment\n"
                  "order-holds:\n"
                  "  table: shop.inventory_reservations # the holds\n"
                  "  id: order_id\n"
                  "  expires_at: '\"created\"\"At\"'\n"
                  "  expires_unit: ms\n"
                  "  time_zone: Europe/Berlin\n"
                  "  after: 15m\n"
                  "  quantity: reserved_quantity\n"
                  "  active: |\n"
                  "    state = 'held' -- what else\n"
                  "      AND flags #> '{a}' IS NULL\n"
                  "\n"
                  "  released: state = 'expired'\n"
                  "  stock:\n"
                  "    table: '\"my.stocks\"'\n"
                  "    key:\n"
                  "      variant_id: variant\n"
                  "      warehouse_id: warehouse\n"
                  "    free: units_free\n"
                  "    held: units_held\n"
                  "    total: units\n"
                  "    set: \"updated_at = now()\"\n"
                  "    counted: 'true'\n"
                  "  carry: [reserved_by, note]\n"
                  "  also:\n"
                  "    - |\n"
                  "      UPDATE orders SET state = 'expired'\n"
                  "       WHERE id IN (SELECT id FROM {released})\n"
                  "    - SELECT 1 FROM {released}\n"
                  "  settings:\n"
                  "    app.tenant: '7'\n"
                  "    ROLE: \"shop's\"\n"
                  "  notify: It's released\n"
                  "  workers: 3\n"
                  "  verify:\n"
                  "    - SELECT 2\n"
                  "    - TABLE odd;\n");
    const struct queue *q = queue_of(0);
    assert_int_equal(config_queues(&config), 1);
    assert_string_equal(q->name, "order-holds");
    assert_string_equal(q->notify.text, "It's released");
    assert_int_equal(q->settings.n, 2);
    assert_string_equal(q->settings.all[0], "app.tenant");
    assert_string_equal(q->settings.all[1], "7");
    assert_string_equal(q->settings.all[2], "ROLE");
    assert_string_equal(q->settings.all[3], "shop's");
    assert_int_equal(q->line, 2);
    assert_string_equal(q->table.schema, "shop");
    assert_string_equal(q->table.name, "inventory_reservations");
    assert_string_equal(q->table.written, "shop.inventory_reservations");
    assert_int_equal(q->table.line, 3);
    expect_text(&q->id, "order_id", 4);
    expect_text(&q->expires_at, "created\"At", 5);
    assert_int_equal(q->expires_unit, QUEUE_EXPIRES_MS);
    expect_text(&q->time_zone, "Europe/Berlin", 7);
    assert_int_equal(q->after_us, INT64_C(900000000));
    expect_text(&q->quantity, "reserved_quantity", 9);
    expect_text(&q->active, "state = 'held' -- what else\n  AND flags #> '{a}' IS NULL", 10);
    expect_text(&q->released, "state = 'expired'", 14);
    assert_null(q->stock.table.schema);
    assert_string_equal(q->stock.table.name, "my.stocks");
    assert_string_equal(q->stock.table.written, "\"my.stocks\"");
    assert_int_equal(q->stock.nkeys, 2);
    expect_text(&q->stock.keys[1].hold, "warehouse_id", 19);
    expect_text(&q->stock.keys[1].counter, "warehouse", 19);
    expect_text(&q->stock.set, "updated_at = now()", 23);
    expect_text(&q->stock.counted, "true", 24);
    assert_int_equal(q->ncarry, 2);
    expect_text(&q->carry[1], "note", 25);
    assert_int_equal(q->nalso, 2);
    expect_text(&q->also[1], "SELECT 1 FROM {released}", 30);
    assert_int_equal(q->nverify, 2);
    expect_text(&q->verify[0], "SELECT 2", 37);
    expect_text(&q->verify[1], "TABLE odd;", 38);
    assert_int_equal(config_queue(&config, 0)->workers, 3);
    queue_place(q, 14, place, sizeof(place));
    assert_string_equal(place, "SWEEPER_QUEUES:14: ");
}

static void test_forms(void **state)
{
    (void)state;
    expect_queues(
        "q: {table: '\"a.b\".\"c\"\"d\"', active: \"TRUE\", released: DELETE, quantity: 1}");
    assert_string_equal(queue_of(0)->table.schema, "a.b");
    assert_string_equal(queue_of(0)->table.name, "c\"d");
    assert_true(queue_of(0)->deletes);
    expect_text(&queue_of(0)->released, NULL, 0);
    expect_text(&queue_of(0)->quantity, NULL, 0);
    expect_text(&queue_of(0)->id, "id", 1);

    /* Nothing is guessed: these are texts, whatever YAML's types would say. */
    expect_queues(
        "\xEF\xBB\xBF%YAML 1.1\n---\nno:\n  {table: null, id: 0x1F, expires_at: ~, active: yes, "
        "released: delete}\n...\n");
    assert_string_equal(queue_of(0)->name, "no");
    assert_string_equal(queue_of(0)->table.name, "null");
    expect_text(&queue_of(0)->id, "0x1F", 4);
    expect_text(&queue_of(0)->expires_at, "~", 4);
    expect_text(&queue_of(0)->active, "yes", 4);
    expect_queues(
        "q:\r\n  table: t\r\n  active: a = 'x'\r\n  released: |-\r\n    b = 1,\r\n    c = 2\r\n");
    expect_text(&queue_of(0)->released, "b = 1,\nc = 2", 4);
}

/* Each queue has what the program has, but for what it says itself. */
static void test_settings_of_a_queue(void **state)
{
    (void)state;
    setenv("SWEEPER_WORKERS", "2", 1);
    expect_queues("a: {" LEAST ", batch_size: 7, pace: 1s, lookahead: 20s, feed_interval: 2s,\n"
                  "    scan_interval: off, lock_timeout: 9ms, first_run_limit: 100}\n"
                  "b: {" LEAST ", workers: 5, first_run_limit: 0}\n"
                  "c: {" LEAST ", lookahead: off, feed_interval: 1h}\n");
    const struct config *a = config_queue(&config, 0);
    const struct config *b = config_queue(&config, 1);
    const struct config *c = config_queue(&config, 2);
    assert_int_equal(config_queues(&config), 3);
    assert_int_equal(config_queues(b), 3);
    assert_ptr_equal(config_queue(b, 0), a);
    assert_int_equal(a->batch_size, 7);
    assert_int_equal(a->workers, 2);
    assert_int_equal(a->pace_us, 1000000);
    assert_int_equal(a->lookahead_us, 20000000);
    assert_int_equal(a->feed_interval_us, 2000000);
    assert_int_equal(a->scan_interval_us, 0);
    assert_int_equal(a->lock_timeout_us, 9000);
    assert_int_equal(a->first_run_limit, 100);
    assert_int_equal(b->batch_size, 500);
    assert_int_equal(b->workers, 5);
    assert_int_equal(b->first_run_limit, 0);
    assert_int_equal(c->lookahead_us, 0);
    assert_int_equal(c->first_run_limit, -1);
    assert_string_equal(a->key_prefix, "a");
    assert_string_equal(c->key_prefix, "c");
    assert_ptr_equal(c->log.service, config.service_name);

    expect_taken("--key-prefix shop --first-run-limit 5");
    assert_string_equal(config_queue(&config, 2)->key_prefix, "shop:c");
    assert_int_equal(config_queue(&config, 0)->first_run_limit, 100);
    assert_int_equal(config_queue(&config, 2)->first_run_limit, 5);

    /* What each queue sets right need not be right for the program. */
    expect_queues("q: {" LEAST ", feed_interval: 1s}");
    expect_taken("--lookahead 10s");
}

static void test_one_queue_of_several(void **state)
{
    (void)state;
    setenv("SWEEPER_QUEUES", "a: {" LEAST "}\nb: {" LEAST ", database: NOT_SET}\n", 1);
    expect_taken("--once --queue a");
    assert_int_equal(config_queues(&config), 1);
    assert_string_equal(config.queue->name, "a");
    assert_string_equal(config.queue_name, "a");
    expect_refused("--queue c", "--queue: \"c\" is not allowed: no queue has that name, of a, b");
    expect_refused("--queue=", "--queue: \"\" is not allowed: no queue has that name, of a, b");
    unsetenv("SWEEPER_QUEUES");
    expect_taken("--queue reservations");
    expect_refused("--queue a", "--queue: \"a\" is not allowed: no queue has that name, of "
                                "reservations");
    expect_taken("--yes");
    assert_true(config.yes);
    expect_taken("--once --yes");
    expect_refused("--status --yes", "--yes: allowed only with the daemon or --once");
}

static void test_database_of_a_queue(void **state)
{
    char path[] = "/tmp/test_queues.XXXXXX";
    char sentence[200];
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "host=two\n", 9), 9);
    close(fd);

    setenv("DATABASE_URL", "host=one", 1);
    setenv("SWEEPER_QUEUES", "a: {" LEAST "}\nb: {" LEAST ",\n  database: SHARD_2}\n", 1);
    expect_refused("", "SWEEPER_QUEUES:3: database: neither SHARD_2_DATABASE_URL nor "
                       "SHARD_2_DATABASE_URL_FILE is set: set one of them");
    setenv("SHARD_2_DATABASE_URL", "host=direct", 1);
    expect_taken("");
    assert_string_equal(config_queue(&config, 0)->conninfo, "host=one");
    assert_string_equal(config_queue(&config, 1)->conninfo, "host=direct");
    setenv("SHARD_2_DATABASE_URL_FILE", path, 1);
    expect_refused("", "SWEEPER_QUEUES:3: database: SHARD_2_DATABASE_URL_FILE is not allowed "
                       "together with SHARD_2_DATABASE_URL: set one of them");
    unsetenv("SHARD_2_DATABASE_URL");
    expect_taken("");
    const struct config *b = config_queue(&config, 1);
    assert_string_equal(b->conninfo, "host=two");
    assert_string_equal(b->files[CONFIG_POSTGRES].path, path);
    assert_string_equal(b->files[CONFIG_POSTGRES].variable, "SHARD_2_DATABASE_URL_FILE");
    assert_null(config.files[CONFIG_POSTGRES].path);
    unlink(path);
    (void)snprintf(sentence, sizeof(sentence),
                   "SHARD_2_DATABASE_URL_FILE: \"%s\" is not allowed: a file that holds the value "
                   "(No such file or directory)",
                   path);
    expect_refused("", sentence);
    unsetenv("SHARD_2_DATABASE_URL_FILE");
    expect_variable_refused(
        "SHARD_2_DATABASE_URL", "host=x sslmode=secret",
        "SHARD_2_DATABASE_URL: this value is not allowed: its sslmode \"secret\" must be disable, "
        "allow, prefer, require, verify-ca or verify-full");
}

static void write_text(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void test_file(void **state)
{
    char path[] = "/tmp/test_queues.XXXXXX";
    char words[80];
    struct config fresh;
    char error[200];
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "a: {" LEAST ", workers: 4}\n") > 0);
    (void)snprintf(words, sizeof(words), "--workers 2 --queues %s", path);
    setenv("SWEEPER_QUEUES", "the flag wins", 1);
    expect_taken(words);
    assert_string_equal(config_queue(&config, 0)->key_prefix, "a");
    assert_string_equal(config.queue->file, path);

    /* Read anew, while what is in use stays. */
    assert_true(dprintf(fd, "b: {" LEAST "}\n") > 0);
    assert_int_equal(config_reload(&fresh, &config, error, sizeof(error)), 0);
    assert_int_equal(config_queues(&fresh), 2);
    assert_int_equal(config_queues(&config), 1);
    assert_int_equal(config_queue(&fresh, 0)->workers, 4);
    assert_int_equal(config_queue(&fresh, 1)->workers, 2);
    config_reload_clear(&fresh);
    assert_true(dprintf(fd, "b: {" LEAST "}\n") > 0);
    assert_int_equal(config_reload(&fresh, &config, error, sizeof(error)), -1);
    assert_non_null(strstr(error, ":3: queue \"b\" is there twice, first in line 2"));
    config_reload_clear(&fresh);
    close(fd);

    unsetenv("SWEEPER_QUEUES");
    setenv("SWEEPER_QUEUES_FILE", path, 1);
    (void)snprintf(
        error, sizeof(error),
        "%s:3: queue \"b\" is there twice, first in line 2: give one of them another name", path);
    expect_refused("", error);
    expect_variable_refused(
        "SWEEPER_QUEUES", "q: x",
        "SWEEPER_QUEUES_FILE: not allowed together with SWEEPER_QUEUES: set one "
        "of them");
    unlink(path);
    expect_refused("--queues /nonexistent/q.yaml",
                   "--queues: \"/nonexistent/q.yaml\" is not allowed: a file that can be read (No "
                   "such file or directory)");
    expect_refused("--queues=",
                   "--queues: \"\" is not allowed: leave the flag out for the default");
    expect_refused("--queues /", "--queues: \"/\" is not allowed: a file that can be read (Is a "
                                 "directory)");
    expect_taken("--help");
}

/* SIGHUP waits for no writer: what has become a pipe is refused, not opened until somebody does. */
static void test_reload_never_blocks(void **state)
{
    char folder[] = "/tmp/test_queues.XXXXXX", file[64], database[64], words[80], error[200];
    struct config fresh;
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(file, sizeof(file), "%s/queues", folder);
    (void)snprintf(database, sizeof(database), "%s/database", folder);
    (void)snprintf(words, sizeof(words), "--queues %s", file);
    write_text(file, "a: {" LEAST ", database: SHARD}\n");
    write_text(database, "host=x\n");
    setenv("SHARD_DATABASE_URL_FILE", database, 1);
    expect_taken(words);

    assert_int_equal(unlink(database), 0);
    assert_int_equal(mkfifo(database, 0600), 0);
    (void)alarm(10);
    assert_int_equal(config_reload(&fresh, &config, error, sizeof(error)), -1);
    assert_non_null(
        strstr(error, "SHARD_DATABASE_URL_FILE is not allowed: a pipe can be read only"));
    config_reload_clear(&fresh);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_int_equal(config_reload(&fresh, &config, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "a file that can be read (a pipe can be read only once)"));
    config_reload_clear(&fresh);
    (void)alarm(0);
    unsetenv("SHARD_DATABASE_URL_FILE");
    assert_int_equal(unlink(file) + unlink(database) + rmdir(folder), 0);
}

/* The keys of the interface, each known to the reader and in the document; and no others. */
static void test_keys_and_document(void **state)
{
    static const char *const keys[] = {
        "table",         "id",
        "expires_at",    "expires_unit",
        "time_zone",     "after",
        "quantity",      "active",
        "released",      "stock",
        "stock.table",   "stock.key",
        "stock.free",    "stock.held",
        "stock.total",   "stock.set",
        "stock.counted", "carry",
        "also",          "keep_while",
        "keep",          "keep.look_again",
        "keep.extend",   "keep.at_most",
        "keep.then",     "verify",
        "database",      "call",
        "settings",      "notify",
        "batch_size",    "workers",
        "pace",          "lookahead",
        "feed_interval", "scan_interval",
        "lock_timeout",  "first_run_limit",
    };
    static char text[1 << 16];
    char *found;
    size_t n = 0;
    (void)state;
    FILE *file = fopen("docs/CONFIGURATION.md", "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    found = strstr(text, "| key | what it is |");
    assert_non_null(found);
    for (char *row = strstr(found, "\n| `"); row != NULL && row[1] == '|';
         row = strchr(row + 1, '\n')) {
        char key[32];
        char yaml[80];
        assert_true(n < ARRAY_LEN(keys));
        assert_int_equal(sscanf(row, "\n| `%31[a-z_.]`", key), 1);
        assert_string_equal(key, keys[n++]);
        const char *dot = strchr(key, '.');
        if (dot == NULL)
            (void)snprintf(yaml, sizeof(yaml), "q: {%s: [[]]}", key);
        else
            (void)snprintf(yaml, sizeof(yaml), "q: {%.*s: {%s: [[]]}}", (int)(dot - key), key,
                           dot + 1);
        setenv("SWEEPER_QUEUES", yaml, 1);
        assert_int_equal(read_words(""), -1);
        if (strstr(sentence_said, "is no key") != NULL || strstr(sentence_said, key) == NULL)
            fail_msg("%s: %s", yaml, sentence_said);
    }
    assert_int_equal(n, ARRAY_LEN(keys));
    assert_int_equal(n, QUEUE_KEYS_N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_built_in, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_every_key, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_forms, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_settings_of_a_queue, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_one_queue_of_several, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_database_of_a_queue, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_file, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_reload_never_blocks, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_keys_and_document, config_setup, config_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
