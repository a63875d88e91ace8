/* Settings from flags and environment, and the sentence about each that is wrong. */
#include "config/config.h"

#include "config_line.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_defaults(void **state)
{
    (void)state;
    expect_taken("");
    assert_int_equal(config.mode, MODE_DAEMON);
    assert_false(config.dry_run);
    assert_false(config.repair_stock);
    assert_null(config.report);
    assert_int_equal(config.max_repairs, 1000);
    assert_string_equal(config.conninfo, "");
    assert_string_equal(config.redis.server.host, "127.0.0.1");
    assert_int_equal(config.redis.server.port, 6379);
    assert_false(config.redis_configured);
    assert_string_equal(config.key_prefix, "reservations");
    assert_int_equal(config.batch_size, 500);
    assert_int_equal(config.workers, 1);
    assert_int_equal(config.pace_us, 5000);
    assert_int_equal(config.lease_us, 10000000);
    assert_int_equal(config.lock_timeout_us, 20000);
    assert_int_equal(config.max_sleep_us, 500000);
    assert_int_equal(config.lookahead_us, 60000000);
    assert_int_equal(config.feed_interval_us, 15000000);
    assert_int_equal(config.scan_interval_us, 300000000);
    assert_int_equal(config.shutdown_grace_us, 8000000);
    assert_string_equal(config.http_host, "127.0.0.1");
    assert_int_equal(config.http_port, 9464);
    assert_null(config.admin_token);
    assert_null(config.redis_ca);
    assert_int_equal(config.log.level, LOG_INFO);
    assert_int_equal(config.log.format, LOG_FORMAT_AUTO);
    assert_string_equal(config.log.service, "reservation-sweeper");
    assert_false(config.log.all_to_stderr);
}

static void test_flags(void **state)
{
    (void)state;
    expect_taken("--batch-size 5000 --workers=16 --pace 0 --lease=10m --lock-timeout 900ms");
    assert_int_equal(config.batch_size, 5000);
    assert_int_equal(config.workers, 16);
    assert_int_equal(config.pace_us, 0);
    assert_int_equal(config.lease_us, 600000000);
    assert_int_equal(config.lock_timeout_us, 900000);
    expect_taken("--lookahead off --feed-interval 1h --scan-interval OFF --shutdown-grace 0s");
    assert_int_equal(config.lookahead_us, 0);
    assert_int_equal(config.feed_interval_us, INT64_C(3600000000));
    assert_int_equal(config.scan_interval_us, 0);
    assert_int_equal(config.shutdown_grace_us, 0);
    expect_taken("--key-prefix shop:1 --log-level debug --log-format text --service-name s");
    assert_string_equal(config.key_prefix, "shop:1");
    assert_int_equal(config.log.level, LOG_DEBUG);
    assert_int_equal(config.log.format, LOG_FORMAT_TEXT);
    assert_string_equal(config.log.service, "s");
    assert_int_equal(config.prepare, PG_PREPARE_AUTO);
    assert_true(config.synchronous_commit);
    expect_taken("--prepare ON");
    assert_int_equal(config.prepare, PG_PREPARE_ON);
    expect_taken("--prepare off");
    assert_int_equal(config.prepare, PG_PREPARE_OFF);
    expect_taken("--synchronous-commit OFF");
    assert_false(config.synchronous_commit);
    expect_taken("--synchronous-commit on");
    assert_true(config.synchronous_commit);
    expect_taken("--http-listen [::1]:80 --batch-size 1 --batch-size 2");
    assert_string_equal(config.http_host, "::1");
    assert_int_equal(config.http_port, 80);
    assert_int_equal(config.batch_size, 2);
    expect_taken("--http-listen :80");
    assert_string_equal(config.http_host, "");
    expect_taken("--http-listen=");
    assert_null(config.http_host);
}

static void test_modes(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        enum mode mode;
        bool all_to_stderr;
    } rows[] = {
        {"--once", MODE_ONCE, false},
        {"--reconcile", MODE_RECONCILE, false},
        {"--status", MODE_STATUS, true},
        {"--healthcheck", MODE_HEALTHCHECK, false},
        {"--check-config", MODE_CHECK_CONFIG, true},
        {"--show-sql", MODE_SHOW_SQL, true},
        {"--rehearse 10", MODE_REHEARSE, true},
        {"--rehearse=1 --json", MODE_REHEARSE, true},
        {"--init", MODE_INIT, true},
        {"--explain 7 --json", MODE_EXPLAIN, true},
        {"--list due", MODE_LIST, true},
        {"--retry 7", MODE_RETRY, false},
        {"--forget all --sqlstate 23514 --product p --limit 10", MODE_FORGET, false},
        {"--status --json", MODE_STATUS, true},
        {"--help", MODE_HELP, false},
        {"-h", MODE_HELP, false},
        {"--version", MODE_VERSION, false},
        {"-V", MODE_VERSION, false},
        {"--reconcile --report -", MODE_RECONCILE, true},
        {"--report=r.json --reconcile", MODE_RECONCILE, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        expect_taken(rows[i].words);
        assert_int_equal(config.mode, rows[i].mode);
        assert_int_equal(config.log.all_to_stderr, rows[i].all_to_stderr);
    }
    expect_taken("--reconcile --dry-run --repair-stock --max-repairs 0 --report r.json");
    assert_true(config.dry_run);
    assert_true(config.repair_stock);
    assert_int_equal(config.max_repairs, 0);
    assert_string_equal(config.report, "r.json");

    expect_taken("--list kept --limit 10000 --product=p --sqlstate 2351A --json");
    assert_int_equal(config.list, LIST_KEPT);
    assert_int_equal(config.list_limit, 10000);
    assert_string_equal(config.product, "p");
    assert_string_equal(config.sqlstate, "2351A");
    assert_true(config.json);
    expect_taken("--retry all");
    assert_null(config.reservation);
    expect_taken("--forget 0-1");
    assert_string_equal(config.reservation, "0-1");
    expect_taken("--explain all"); /* of that one, too, there may be a reservation */
    assert_string_equal(config.reservation, "all");

    /* Help is there also where the environment is wrong. */
    setenv("SWEEPER_BATCH_SIZE", "0", 1);
    expect_taken("--help");
    expect_taken("--version");
}

static void test_command_line_refused(void **state)
{
    (void)state;
    static const struct {
        const char *words, *sentence;
    } rows[] = {
        {"--bogus", "--bogus: unknown flag, see --help"},
        {"--batch", "--batch: unknown flag, see --help"},
        {"--batch=5", "--batch: unknown flag, see --help"},
        {"--onc", "--onc: unknown flag, see --help"},
        {"--database-ur=postgres://u:secret@h", "--database-ur: unknown flag, see --help"},
        {"--Once", "--Once: unknown flag, see --help"},
        {"--=x", "--: unknown flag, see --help"},
        {"-x", "-x: unknown flag, see --help"},
        {"-once", "-o: unknown flag, see --help"},
        {"-hV", "--version: not together with --help; only one mode is allowed"},
        {"--once=yes", "--once: takes no value"},
        {"--batch-size", "--batch-size: its value is missing: a whole number from 1 to 5000"},
        {"--once --report", "--report: its value is missing: write --report FILE"},
        {"--once --report --dry-run", "--report: its value is missing, --dry-run is a flag"},
        {"--service-name --once", "--service-name: its value is missing, --once is a flag"},
        {"now", "\"now\" belongs to no flag: only flags and their values are allowed, see --help"},
        {"--once -- now",
         "\"now\" belongs to no flag: only flags and their values are allowed, see --help"},
        {"-", "\"-\" belongs to no flag: only flags and their values are allowed, see --help"},
        {"''", "\"\" belongs to no flag: only flags and their values are allowed, see --help"},
        {"--once redis://:secret@h",
         "argument 2 belongs to no flag: only flags and their values are allowed, see --help"},
        {"--once --once", "--once: given twice; a mode is given once"},
        {"--once --status", "--status: not together with --once; only one mode is allowed"},
        {"--dry-run", "--dry-run: allowed only with --once or --reconcile"},
        {"--status --dry-run", "--dry-run: allowed only with --once or --reconcile"},
        {"--once --repair-stock", "--repair-stock: allowed only with --reconcile"},
        {"--once --report r", "--report: allowed only with --reconcile"},
        {"--reconcile --max-repairs 5", "--max-repairs: allowed only with --repair-stock"},
        {"--reconcile --repair-stock --max-repairs 1000000001",
         "--max-repairs: \"1000000001\" is not allowed: a whole number from 0 to 1000000000"},
        {"--rehearse 0", "--rehearse: \"0\" is not allowed: a whole number from 1 to 10000"},
        {"--rehearse", "--rehearse: its value is missing: write --rehearse N"},
        {"--rehearse --json", "--rehearse: its value is missing, --json is a flag"},
        {"--once --json", "--json: allowed only with --status, --list, --explain or --rehearse"},
        {"--list lost", "--list: \"lost\" is not allowed: due, failed, locked or kept"},
        {"--list", "--list: its value is missing: write --list due|failed|locked|kept"},
        {"--retry --json", "--retry: its value is missing, --json is a flag"},
        {"--retry 7 --limit 5", "--limit: allowed only with --list, --retry all or --forget all"},
        {"--explain all --product p",
         "--product: allowed only with --list, --retry all or --forget all"},
        {"--once --sqlstate 23514",
         "--sqlstate: allowed only with --list, --retry all or --forget all"},
        {"--list due --limit 0", "--limit: \"0\" is not allowed: a whole number from 1 to 10000"},
        {"--list due --limit 10001",
         "--limit: \"10001\" is not allowed: a whole number from 1 to 10000"},
        {"--explain ''", "--explain: \"\" is not allowed: a reservation's id"},
        {"--forget=", "--forget: \"\" is not allowed: a reservation's id, or all"},
        {"--list failed --product=", "--product: \"\" is not allowed: a product's key"},
        {"--list failed --sqlstate 2351",
         "--sqlstate: \"2351\" is not allowed: five digits or capital letters"},
        {"--list failed --sqlstate 2351a",
         "--sqlstate: \"2351a\" is not allowed: five digits or capital letters"},
        {"--reconcile --report=", "--report: \"\" is not allowed: a file's name, or - for stdout"},
        {"--workers=", "--workers: \"\" is not allowed: leave the flag out for the default"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_refused(rows[i].words, rows[i].sentence);
}

static void test_values_refused(void **state)
{
    (void)state;
    static const struct {
        const char *words, *sentence;
    } rows[] = {
        {"--batch-size 0", "--batch-size: \"0\" is not allowed: a whole number from 1 to 5000"},
        {"--batch-size 5001",
         "--batch-size: \"5001\" is not allowed: a whole number from 1 to 5000"},
        {"--batch-size 99999999999999999999",
         "--batch-size: \"99999999999999999999\" is not allowed: a whole number from 1 to 5000"},
        {"--workers 17", "--workers: \"17\" is not allowed: a whole number from 1 to 16"},
        {"--workers 4x", "--workers: \"4x\" is not allowed: a whole number from 1 to 16"},
        {"--pace 11s", "--pace: \"11s\" is not allowed: a duration from 0ms to 10s"},
        {"--lease 999ms", "--lease: \"999ms\" is not allowed: a duration from 1s to 10m"},
        {"--lease 10",
         "--lease: \"10\" is not allowed: its unit (us, ms, s, m, h) is missing; a duration from "
         "1s to 10m"},
        {"--lease -10s", "--lease: \"-10s\" is not allowed: a duration from 1s to 10m"},
        {"--lease off", "--lease: \"off\" is not allowed: a duration from 1s to 10m"},
        {"--lock-timeout 901ms",
         "--lock-timeout: \"901ms\" is not allowed: a duration from 1ms to 900ms; a wait must end "
         "before Postgres looks for deadlocks (its deadlock_timeout is 1 s by default)"},
        {"--max-sleep 0", "--max-sleep: \"0\" is not allowed: a duration from 1ms to 60s"},
        {"--lookahead 25h",
         "--lookahead: \"25h\" is not allowed: a duration from 1s to 24h, or off"},
        {"--feed-interval 99ms",
         "--feed-interval: \"99ms\" is not allowed: a duration from 100ms to 1h"},
        {"--scan-interval 0",
         "--scan-interval: \"0\" is not allowed: a duration from 1s to 24h, or off"},
        {"--prepare yes", "--prepare: \"yes\" is not allowed: auto, on or off"},
        {"--synchronous-commit local", "--synchronous-commit: \"local\" is not allowed: on or off"},
        {"--shutdown-grace 11m",
         "--shutdown-grace: \"11m\" is not allowed: a duration from 0s to 10m"},
        {"--feed-interval 60s",
         "--feed-interval: \"60s\" is not allowed with SWEEPER_LOOKAHEAD \"60s\": the feed must "
         "look more often than the look-ahead is long"},
        {"--lookahead 10s",
         "SWEEPER_FEED_INTERVAL: \"15s\" is not allowed with --lookahead \"10s\": the feed must "
         "look more often than the look-ahead is long"},
        {"--http-listen 9464",
         "--http-listen: \"9464\" is not allowed: host:port, :port or [IPv6]:port, with a port "
         "from 1 to 65535; or empty"},
        {"--key-prefix a{b", "--key-prefix: \"a{b\" is not allowed: 1 to 64 bytes without braces"},
        {"--key-prefix a\nb", "--key-prefix: \"a?b\" is not allowed: it holds a control character"},
        {"--key-prefix a\n", "--key-prefix: \"a?\" is not allowed: it ends with a newline"},
        {"--batch-size 5\n", "--batch-size: \"5?\" is not allowed: it ends with a newline"},
        {"--database-url host=x\n",
         "--database-url: this value is not allowed: it ends with a newline"},
        {"--database-url postgres://u:p@h/d\te",
         "--database-url: this value is not allowed: it holds a control character"},
        {"--redis-url redis://h:1/0\r\n",
         "--redis-url: this value is not allowed: it ends with a newline"},
        {"--service-name a\x1b[2J",
         "--service-name: \"a?[2J\" is not allowed: it holds a control character"},
        {"--log-level loud", "--log-level: \"loud\" is not allowed: ERROR, WARN, INFO or DEBUG"},
        {"--log-format xml", "--log-format: \"xml\" is not allowed: json, text or auto"},
        {"--redis-ca tests/none.pem",
         "--redis-ca: \"tests/none.pem\" is not allowed: a file that can be read (No such file or "
         "directory)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect_refused(rows[i].words, rows[i].sentence);
}

static void test_limits_of_texts(void **state)
{
    (void)state;
    char text[80];
    memset(text, 'p', sizeof(text));
    text[64] = '\0';
    setenv("SWEEPER_KEY_PREFIX", text, 1);
    setenv("SWEEPER_SERVICE_NAME", text, 1);
    expect_taken("");
    text[64] = 'p';
    text[65] = '\0';
    setenv("SWEEPER_KEY_PREFIX", text, 1);
    assert_int_equal(read_words(""), -1);
    assert_non_null(strstr(sentence_said, "SWEEPER_KEY_PREFIX: "));
    unsetenv("SWEEPER_KEY_PREFIX");
    setenv("SWEEPER_SERVICE_NAME", text, 1);
    assert_int_equal(read_words(""), -1);
    assert_non_null(strstr(sentence_said, "SWEEPER_SERVICE_NAME: "));
}

static void test_environment(void **state)
{
    (void)state;
    setenv("SWEEPER_BATCH_SIZE", "7", 1);
    setenv("SWEEPER_WORKERS", "", 1);
    setenv("SWEEPER_HTTP_LISTEN", "", 1);
    setenv("SWEEPER_ADMIN_TOKEN", "0123456789abcdef", 1);
    expect_taken("");
    assert_int_equal(config.batch_size, 7);
    assert_int_equal(config.workers, 1);
    assert_null(config.http_host);
    assert_string_equal(config.admin_token, "0123456789abcdef");
    expect_taken("--batch-size 8 --http-listen :1");
    assert_int_equal(config.batch_size, 8);
    assert_int_equal(config.http_port, 1);
    setenv("SWEEPER_BATCH_SIZE", "nonsense", 1);
    expect_taken("--batch-size 8");
    expect_refused(
        "", "SWEEPER_BATCH_SIZE: \"nonsense\" is not allowed: a whole number from 1 to 5000");
}

static void test_log_level_precedence(void **state)
{
    (void)state;
    setenv("LOG_LEVEL", "debug", 1);
    expect_taken("");
    assert_int_equal(config.log.level, LOG_DEBUG);
    setenv("SWEEPER_LOG_LEVEL", "WARN", 1);
    expect_taken("");
    assert_int_equal(config.log.level, LOG_WARN);
    expect_taken("--log-level ERROR");
    assert_int_equal(config.log.level, LOG_ERROR);
    setenv("LOG_LEVEL", "verbose", 1);
    expect_taken("");
    setenv("SWEEPER_LOG_LEVEL", "", 1);
    expect_refused("", "LOG_LEVEL: \"verbose\" is not allowed: ERROR, WARN, INFO or DEBUG");
}

/* A former name counts where the new one is not given, flags before variables. */
static void test_former_names(void **state)
{
    (void)state;
    static const struct {
        const char *variable, *other, *words;
        int64_t scan_s;
    } rows[] = {
        {NULL, NULL, "", 300},
        {NULL, "2m", "", 120},
        {NULL, "off", "", 0},
        {"1m", NULL, "", 60},
        {"1m", "2m", "", 60},
        {"1m", "nonsense", "", 60},
        {"", "2m", "", 120},
        {NULL, NULL, "--scan-interval 10s", 10},
        {NULL, NULL, "--reconcile-interval 20s", 20},
        {NULL, NULL, "--reconcile-interval=off", 0},
        {NULL, NULL, "--scan-interval 10s --reconcile-interval 20s", 10},
        {NULL, NULL, "--reconcile-interval 20s --scan-interval 10s", 10},
        {NULL, NULL, "--reconcile-interval 20s --reconcile-interval 30s", 30},
        {NULL, NULL, "--scan-interval 10s --scan-interval 11s --reconcile-interval 20s", 11},
        {"1m", NULL, "--reconcile-interval 20s", 20},
        {"1m", "2m", "--scan-interval 10s", 10},
        {NULL, "2m", "--reconcile-interval 20s", 20},
        {"nonsense", "nonsense", "--reconcile-interval 20s", 20},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsetenv("SWEEPER_SCAN_INTERVAL");
        unsetenv("SWEEPER_RECONCILE_INTERVAL");
        if (rows[i].variable != NULL)
            setenv("SWEEPER_SCAN_INTERVAL", rows[i].variable, 1);
        if (rows[i].other != NULL)
            setenv("SWEEPER_RECONCILE_INTERVAL", rows[i].other, 1);
        expect_taken(rows[i].words);
        if (config.scan_interval_us != rows[i].scan_s * 1000000)
            fail_msg("row %zu: %lld us", i, (long long)config.scan_interval_us);
    }
    unsetenv("SWEEPER_SCAN_INTERVAL");
    unsetenv("SWEEPER_RECONCILE_INTERVAL");
    expect_variable_refused(
        "SWEEPER_RECONCILE_INTERVAL", "1",
        "SWEEPER_RECONCILE_INTERVAL: \"1\" is not allowed: its unit (us, ms, s, "
        "m, h) is missing; a duration from 1s to 24h, or off");
    expect_refused("--reconcile-interval 0", "--reconcile-interval: \"0\" is not allowed: a "
                                             "duration from 1s to 24h, or off");
    expect_refused("--reconcile-interval=",
                   "--reconcile-interval: \"\" is not allowed: leave the flag out for the default");
    expect_refused("--reconcile-interval",
                   "--reconcile-interval: its value is missing: a duration from 1s to 24h, or off");
    expect_refused("--reconcile-interval --once",
                   "--reconcile-interval: its value is missing, --once is a flag");
}

/* Every beginning of a command line, and a sentence cut to every length. */
static void test_beginnings(void **state)
{
    (void)state;
    static const char words[] = "--redis-url=redis://u:p@[::1]:1/2 --lookahead 1.5h --reconcile "
                                "--repair-stock --max-repairs=5 --report - --log-level debug";
    char *program[] = {"reservation-sweeper", "--bogus", NULL};
    for (size_t len = 0; len <= sizeof(words) - 1; len++) {
        char copy[sizeof(words)];
        memcpy(copy, words, len);
        copy[len] = '\0';
        if (read_words(copy) != 0)
            assert_non_null(memchr(sentence_said, '\0', sizeof(sentence_said)));
    }
    assert_int_equal(read_words(words), 0);
    for (size_t size = 1; size < 40; size++) {
        memset(sentence_said, '#', sizeof(sentence_said));
        config_clear(&config);
        assert_int_equal(config_read(&config, 2, program, sentence_said, size), -1);
        assert_int_equal(sentence_said[size], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_flags, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_modes, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_command_line_refused, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_values_refused, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_limits_of_texts, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_environment, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_log_level_precedence, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_former_names, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_beginnings, config_setup, config_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
