/* Connection strings: what is refused and why, and that no secret comes back. */
#include "link/pg_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_accepts(void **state)
{
    static const char *const good[] = {
        "",
        "host=h port=1 dbname=d",
        "host='a b' password='it\\'s'",
        "host=a,b port=5432,5433 target_session_attrs=read-write",
        "postgresql://",
        "postgres://u:p%40ss@h:5432/d?sslmode=require",
        "postgres://u:p?w@h/d",
        "postgres://a:1,b:2/d?target_session_attrs=read-write",
        "postgres://[::1]:5432/d",
        "postgresql:///d?host=/run/postgresql&user=me@server",
        "postgres://h/d?application_name=a%20b",
        "postgres://h/d?replication=No",
        "replication=fal",
    };
    const char *variable;
    char error[200] = "";
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (pg_conninfo_check(good[i], &variable, error, sizeof(error)) != 0)
            fail_msg("%s: %s", good[i], error);
    }
}

struct bad {
    const char *conninfo;
    const char *says;
};

static void check_refuses(void **state)
{
    static const struct bad bad[] = {
        {"postgres://u:hush@h/d?schema=public", "\"schema\""},
        {"postgresql://u:password@h/d?sslmode=require&pgbouncer=true", "\"pgbouncer\""},
        {"postgres://h/d?connection_limit=5&password=hush", "\"connection_limit\""},
        {"postgres://h/d?password=a&hush=1", "does not know"},
        {"schema=public host=h", "\"schema\""},
        {"host=h password=a hush=1", "does not know"},
        {"host=h password=a hush", "without \"=\""},
        {"host=h password='hush", "quote"},
        {"hush", "without \"=\""},
        {"mysql://u:hush@h/d", "postgresql://"},
        {"jdbc:postgresql://u:hush@h/d", "postgresql://"},
        {"postgres://u:hu%sh@h/d", "hexadecimal"},
        {"postgres://u:hush%00@h/d", "%00"},
        {"postgres://u:p@hush@h/d", "%XX"},
        {"postgres://u:1/hush@h/d", "%XX"},
        {"postgres://u:p@[::1/hush", "IPv6"},
        {"postgres://u:p@[]/hush", "IPv6"},
        {"postgres://u:p@[::1]hush/d", "IPv6"},
        {"postgres://u:p@h/d?sslmode", "without \"=\""},
        {"postgres://u:p@h/d?a=hush=c", "more than one"},
        {"postgres://u:p@h:hush/d", "port"},
        {"host=h port=0", "port"},
        {"host=h port=65536", "port"},
        {"host=a,b port=1,x", "port"},
        {"port=00000000000000000000000000000001", "port"},
        {"host=h sslmode=bogus", "sslmode \"bogus\" must be disable, allow,"},
        {"postgres://u:hush@h/d?sslmode=bogus", "sslmode \"bogus\" must be"},
        {"password=hush sslmode=hush", "sslmode must be"},
        {"sslmode=", "sslmode must be"},
        {"channel_binding=bogus", "disable, prefer or require"},
        {"gssencmode=bogus", "disable, prefer or require"},
        {"target_session_attrs=bogus", "read-write"},
        {"postgres://h/d?replication=database", "replication \"database\" must be left out"},
        {"host=h replication=on", "replication \"on\" must be left out"},
        {"host=h replication=o", "must be left out"},
        {"ssl_min_protocol_version=bogus", "TLSv1.2"},
        {"ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.1", "range"},
        {"host=a,b port=1,2,3", "3 port numbers to 2 hosts"},
        {"host=a,b hostaddr=127.0.0.1", "2 host names to 1 hostaddr"},
        {"hostaddr=127.0.0.300", "address in numbers"},
        {"hostaddr=127.0.0.1,h host=a,b", "address in numbers"},
        {"keepalives_idle=abc", "whole number"},
        {"connect_timeout=abc", "whole number"},
        {"tcp_user_timeout=99999999999", "whole number"},
        {"service=unknown", "service \"unknown\""},
        {"password=hush service=hush", "service must be"},
    };
    const char *variable;
    char error[200];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        error[0] = '\0';
        assert_int_equal(pg_conninfo_check(bad[i].conninfo, &variable, error, sizeof(error)), -1);
        if (strstr(error, bad[i].says) == NULL || strstr(error, "hush") != NULL)
            fail_msg("%s: %s", bad[i].conninfo, error);
        assert_null(strchr(error, '\n'));
    }
}

/* What libpq would take from the environment, and never get beyond. */
static void check_names_the_variable(void **state)
{
    static const struct {
        const char *variable, *value, *overrides, *says;
    } rows[] = {
        {"PGSSLMODE", "bogus", "sslmode=prefer", "\"bogus\" is not allowed: disable, allow,"},
        {"PGSSLMODE", "", "sslmode=prefer", "is not allowed: disable, allow,"},
        {"PGSERVICE", "unknown", NULL, "\"unknown\" is not allowed: one that is defined"},
        {"PGPORT", "x", "port=1", "\"x\" is not allowed: a number from 1 to 65535"},
        {"PGCONNECT_TIMEOUT", "x", "connect_timeout=1", "a whole number"},
        {"PGPASSWORD", "hush\n", "password=x", "it ends with a newline"},
    };
    const char *variable;
    char error[200];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(setenv(rows[i].variable, rows[i].value, 1), 0);
        assert_int_equal(pg_conninfo_check("host=h", &variable, error, sizeof(error)), -1);
        assert_non_null(variable);
        assert_string_equal(variable, rows[i].variable);
        if (strstr(error, rows[i].says) == NULL || strstr(error, "hush") != NULL)
            fail_msg("%s: %s", rows[i].variable, error);
        if (rows[i].overrides != NULL)
            assert_int_equal(pg_conninfo_check(rows[i].overrides, &variable, error, sizeof(error)),
                             0);
        assert_int_equal(unsetenv(rows[i].variable), 0);
    }
}

static void check_cuts_to_size(void **state)
{
    const char *variable;
    char error[8] = "xxxxxxx";
    (void)state;
    assert_int_equal(pg_conninfo_check("nonsense", &variable, error, sizeof(error)), -1);
    assert_int_equal(strlen(error), sizeof(error) - 1);
}

static void describe_is(const char *conninfo, const char *expected)
{
    char *text = pg_conninfo_describe(conninfo);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void describe_leaves_secrets_out(void **state)
{
    (void)state;
    describe_is("postgres://u:hush@h:1/d?sslpassword=hush&options=-chush%3D1",
                "host=h port=1 dbname=d user=u");
    describe_is("host=a,b port=1,2 dbname=d user=u password=hush",
                "host=a,b port=1,2 dbname=d user=u");
    describe_is("hostaddr=127.0.0.1 port=1 dbname=d user=u",
                "host=127.0.0.1 port=1 dbname=d user=u");
    describe_is("nonsense hush", "an unusable connection string");
}

static void describe_adds_the_environment(void **state)
{
    (void)state;
    assert_int_equal(setenv("PGHOST", "env-host", 1), 0);
    assert_int_equal(setenv("PGPORT", "7", 1), 0);
    assert_int_equal(setenv("PGDATABASE", "env-db", 1), 0);
    assert_int_equal(setenv("PGUSER", "env-user", 1), 0);
    assert_int_equal(setenv("PGPASSWORD", "hush", 1), 0);
    describe_is("", "host=env-host port=7 dbname=env-db user=env-user");
    describe_is("postgres://h/d", "host=h port=7 dbname=d user=env-user");
    describe_is("service=s dbname=d", "service=s dbname=d");
}

static void library_version_is_dotted(void **state)
{
    const char *version = pg_link_library_version();
    char *end = NULL;
    long major = strtol(version, &end, 10);
    long minor;
    (void)state;
    assert_int_equal(*end, '.');
    minor = strtol(end + 1, &end, 10);
    assert_int_equal(*end, '\0');
    assert_in_range(major, 12, 99);
    assert_in_range(minor, 0, 99);
}

int main(void)
{
    assert_int_equal(clearenv(), 0);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_accepts),
        cmocka_unit_test(check_refuses),
        cmocka_unit_test(check_names_the_variable),
        cmocka_unit_test(check_cuts_to_size),
        cmocka_unit_test(describe_leaves_secrets_out),
        cmocka_unit_test(describe_adds_the_environment),
        cmocka_unit_test(library_version_is_dotted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
