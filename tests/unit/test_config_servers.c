/* Where the servers are: URLs, files that hold them, their parts, and what is said of them. */
#include "config/config.h"

#include "config_line.h"

#include "link/redis_link.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 64

static void test_secrets_are_not_repeated(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
    } rows[] = {
        {"DATABASE_URL", "postgres://u:hush@h/db?schema=public"},
        {"DATABASE_URL", "postgres://u:hush@h:port/db"},
        {"DATABASE_URL", "hush"},
        {"DATABASE_URL", "password=hush bogus=1"},
        {"REDIS_URL", "redis://:hush@h:port"},
        {"REDIS_URL", "hush"},
        {"SWEEPER_ADMIN_TOKEN", "hush"},
        {"SWEEPER_ADMIN_TOKEN", "hush with some blanks"},
        {"DATABASE_URL_FILE", "postgres://u:hush@h/db"},
        {"REDIS_HOST", "u:hush@h"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        setenv(rows[i].name, rows[i].value, 1);
        assert_int_equal(read_words(""), -1);
        unsetenv(rows[i].name);
        assert_int_equal(strncmp(sentence_said, rows[i].name, strlen(rows[i].name)), 0);
        if (strstr(sentence_said, "hush") != NULL)
            fail_msg("%s", sentence_said);
    }
}

static void test_secrets_leave_the_command_line(void **state)
{
    (void)state;
    char line[] = "--database-url postgres://u:hush@h/db --redis-url=redis://:hush@h --workers 2";
    char *end = line + sizeof(line) - 1;
    if (read_line(line) != 0)
        fail_msg("%s", sentence_said);
    for (char *p = line; p < end; p++)
        if (*p == '\0')
            *p = ' ';
    assert_null(strstr(line, "hush"));
    assert_non_null(strstr(line, "--redis-url=xxxx"));
    assert_non_null(strstr(line, "--workers 2"));
    assert_string_equal(config.conninfo, "postgres://u:hush@h/db");
    assert_string_equal(config.redis.server.password, "hush");
}

static void test_orm_parameters(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"postgresql://u:p@h/db?schema=public", "schema"},
        {"postgres://h/db?sslmode=require&pgbouncer=true", "pgbouncer"},
        {"postgres://h/db?connection_limit=5", "connection_limit"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char sentence[256];
        snprintf(sentence, sizeof(sentence),
                 "DATABASE_URL: this value is not allowed: its parameter \"%s\" is an ORM's own, "
                 "which libpq does not know: leave it out",
                 rows[i][1]);
        expect_variable_refused("DATABASE_URL", rows[i][0], sentence);
    }
    setenv("DATABASE_URL", "postgres://h/db?sslmode=require&connect_timeout=3", 1);
    expect_taken("");
}

static void test_tls(void **state)
{
    (void)state;
    expect_taken("--redis-url rediss://h");
    assert_true(config.redis.server.tls);
    expect_taken("--redis-url redis://h");
    assert_false(config.redis.server.tls);
}

/* A file with these bytes; its name is in `path`, of PATH_BYTES. */
static void write_file(char *path, const char *bytes, size_t len)
{
    (void)snprintf(path, PATH_BYTES, "/tmp/test_config.XXXXXX");

    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *value;
        const char *reason;
    } rows[] = {
        {"0123456789abcdef", 16, "0123456789abcdef", NULL},
        {"0123456789abcdef\n", 17, "0123456789abcdef", NULL},
        {"0123456789abcdef\r\n", 18, "0123456789abcdef", NULL},
        {"", 0, NULL, "(it is empty)"},
        {"\n", 1, NULL, "(it is empty)"},
        {"0123456789abcde\0f", 17, NULL, "(it holds a NUL byte)"},
        {"0123456789abcdef\n\n", 18, NULL, "it ends with a newline"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char path[PATH_BYTES];
        write_file(path, rows[i].bytes, rows[i].len);
        setenv("SWEEPER_ADMIN_TOKEN_FILE", path, 1);

        int rc = read_words("");
        unlink(path);
        assert_int_equal(rc, rows[i].value == NULL ? -1 : 0);
        if (rows[i].value != NULL) {
            assert_string_equal(config.admin_token, rows[i].value);
        } else {
            assert_non_null(strstr(sentence_said, "SWEEPER_ADMIN_TOKEN_FILE: "));
            assert_non_null(strstr(sentence_said, rows[i].reason));
        }
    }
}

static void test_files_refused(void **state)
{
    (void)state;
    char path[PATH_BYTES];
    char *much = calloc(1, 65538);
    expect_variable_refused(
        "REDIS_URL_FILE", "tests/none",
        "REDIS_URL_FILE: \"tests/none\" is not allowed: a file that holds the value "
        "(No such file or directory)");
    expect_variable_refused(
        "DATABASE_URL_FILE", "/",
        "DATABASE_URL_FILE: \"/\" is not allowed: a file that holds the value (Is a "
        "directory)");
    assert_non_null(much);
    memset(much, 'x', 65537);
    write_file(path, much, 65537);
    free(much);
    setenv("SWEEPER_ADMIN_TOKEN_FILE", path, 1);
    assert_int_equal(read_words(""), -1);
    unlink(path);
    assert_non_null(strstr(sentence_said, "(longer than 64 KiB)"));
    setenv("SWEEPER_ADMIN_TOKEN_FILE", "", 1);
    expect_taken("");
    setenv("REDIS_URL", "redis://h", 1);
    setenv("REDIS_URL_FILE", "x", 1);
    expect_refused("", "REDIS_URL_FILE: not allowed together with REDIS_URL: set one of them");
    expect_taken("--redis-url redis://other");
    assert_string_equal(config.redis.server.host, "other");
}

static void test_database_parts(void **state)
{
    (void)state;
    setenv("DB_HOST", "db", 1);
    setenv("DB_PORT", "5433", 1);
    setenv("DB_NAME", "my shop", 1);
    setenv("DB_USER", "", 1);
    setenv("DB_PASSWORD", "it's \\ = here", 1);
    expect_taken("");
    assert_string_equal(config.conninfo, "host='db' port='5433' dbname='my shop' "
                                         "password='it\\'s \\\\ = here'");

    char *where = config_describe_postgres(&config);
    assert_non_null(where);
    assert_non_null(strstr(where, "host=db port=5433 dbname=my shop"));
    assert_null(strstr(where, "here"));
    free(where);

    expect_variable_refused("DB_PORT", "0",
                            "DB_PORT: \"0\" is not allowed: a whole number from 1 to 65535");
    setenv("DB_PORT", "x", 1);
    setenv("DATABASE_URL", "host=other", 1);
    expect_taken("");
    assert_string_equal(config.conninfo, "host=other");
    expect_taken("--database-url host=third");
    assert_string_equal(config.conninfo, "host=third");
}

static void test_redis_parts(void **state)
{
    (void)state;
    setenv("REDIS_PASSWORD", "p@ss", 1);
    expect_taken("");
    assert_true(config.redis_configured);
    assert_string_equal(config.redis.server.host, "127.0.0.1");
    assert_string_equal(config.redis.server.password, "p@ss");
    setenv("REDIS_HOST", "::1", 1);
    setenv("REDIS_PORT", "7000", 1);
    setenv("REDIS_DB", "3", 1);
    expect_taken("");
    assert_string_equal(config.redis.server.host, "::1");
    assert_int_equal(config.redis.server.port, 7000);
    assert_int_equal(config.redis.server.db, 3);
    expect_variable_refused("REDIS_DB", "-1",
                            "REDIS_DB: \"-1\" is not allowed: a whole number from 0 to 2147483647");
    expect_variable_refused("REDIS_PORT", "65536",
                            "REDIS_PORT: \"65536\" is not allowed: a whole number from 1 to 65535");
    expect_variable_refused("REDIS_HOST", "a/3",
                            "REDIS_HOST: \"...\" is not allowed: a host name or address");
    expect_variable_refused("REDIS_HOST", "a:6379",
                            "REDIS_HOST: \"a:6379\" is not allowed: a host name or address");
    setenv("REDIS_URL", "redis://h/9", 1);
    expect_taken("");
    assert_string_equal(config.redis.server.host, "h");
    assert_null(config.redis.server.password);
    assert_int_equal(config.redis.server.db, 9);
}

static void expect_redis(const char *words, const char *where)
{
    expect_taken(words);
    assert_true(config.redis_configured || *words == '\0');

    char *text = config_describe_redis(&config);
    assert_string_equal(text, where);
    free(text);
}

static void test_descriptions(void **state)
{
    (void)state;
    expect_redis("", "127.0.0.1:6379/0");
    expect_redis("--redis-url redis://:p@h:1/2", "h:1/2");
    expect_redis("--redis-url redis://u:p@[::1]/2", "[::1]:6379/2");
    expect_redis("--redis-url unix:///run/r.sock?db=4", "unix:/run/r.sock?db=4");

    char *where = config_describe_postgres(&config);
    assert_string_equal(where, "libpq's defaults (DATABASE_URL is not set)");
    free(where);
}

/* One part is enough; the others have their defaults. */
static void test_defaults_of_redis_parts(void **state)
{
    (void)state;
    setenv("REDIS_HOST", "cache", 1);
    expect_taken("");
    assert_string_equal(config.redis.server.host, "cache");
    assert_int_equal(config.redis.server.port, 6379);
    assert_int_equal(config.redis.server.db, 0);
    assert_true(config.redis_configured);
    unsetenv("REDIS_HOST");
    setenv("REDIS_DB", "3", 1);
    expect_taken("");
    assert_string_equal(config.redis.server.host, "127.0.0.1");
    assert_int_equal(config.redis.server.port, 6379);
    assert_int_equal(config.redis.server.db, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_secrets_are_not_repeated, config_setup,
                                        config_teardown),
        cmocka_unit_test_setup_teardown(test_secrets_leave_the_command_line, config_setup,
                                        config_teardown),
        cmocka_unit_test_setup_teardown(test_defaults_of_redis_parts, config_setup,
                                        config_teardown),
        cmocka_unit_test_setup_teardown(test_orm_parameters, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_tls, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_files, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_files_refused, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_database_parts, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_redis_parts, config_setup, config_teardown),
        cmocka_unit_test_setup_teardown(test_descriptions, config_setup, config_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
