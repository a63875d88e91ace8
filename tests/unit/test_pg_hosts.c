/* The hosts of a connection string one by one, and where the links are. */
#include "link/pg_hosts.h"
#include "link/pg_standing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Their names in order, separated by blanks; "": the string as it is. */
static const char *names_of(const char *conninfo, bool *primary)
{
    static char out[1024];
    struct pg_hosts hosts;
    size_t at = 0;
    pg_hosts_read(&hosts, conninfo);
    out[0] = '\0';
    for (size_t i = 0; i < hosts.n; i++) {
        char name[PG_SERVER_SIZE];
        pg_host_name(&hosts.list[i], name, sizeof(name));
        at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s", i > 0 ? "; " : "", name);
    }
    *primary = hosts.implied;
    pg_hosts_clear(&hosts);
    return out;
}

static void each_host_by_itself(void **state)
{
    static const struct {
        const char *conninfo, *names;
        bool primary;
    } rows[] = {
        {"host=a", "", false},
        {"", "", false},
        {"host=a,b", "host=a port=5432; host=b port=5432", true},
        {"host=a,b port=1", "host=a port=1; host=b port=1", true},
        {"postgresql://u:p@a:1,b:2/d", "host=a port=1; host=b port=2", true},
        {"hostaddr=127.0.0.1,::1 port=1,2", "host=127.0.0.1 port=1; host=::1 port=2", true},
        {"host=a,b hostaddr=127.0.0.1,127.0.0.2", "host=a port=5432; host=b port=5432", true},
        {"host=a,b target_session_attrs=any", "host=a port=5432; host=b port=5432", false},
        {"host=a,b target_session_attrs=primary", "host=a port=5432; host=b port=5432", false},
        /* libpq's to go through. */
        {"host=a,b target_session_attrs=prefer-standby", "", false},
        {"host=a,,b", "", true},
        {"host=a,b port=1,,", "", true},
        {"host=a,b hostaddr=127.0.0.1,", "", true},
        {"host=a,b port=1,2,3", "", true},
        {"host=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "", true},
    };
    (void)state;
    unsetenv("PGPORT");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool primary;
        const char *names = names_of(rows[i].conninfo, &primary);
        if (strcmp(names, rows[i].names) != 0 || primary != rows[i].primary)
            fail_msg("%s: %s, %d", rows[i].conninfo, names, primary);
    }
}

static void the_environment_names_them(void **state)
{
    bool primary;
    (void)state;
    setenv("PGHOST", "a,b", 1);
    setenv("PGPORT", "1,2", 1);
    assert_string_equal(names_of("dbname=d", &primary), "host=a port=1; host=b port=2");
    assert_true(primary);
    setenv("PGTARGETSESSIONATTRS", "any", 1);
    (void)names_of("dbname=d", &primary);
    assert_false(primary);
    unsetenv("PGHOST");
    unsetenv("PGPORT");
    unsetenv("PGTARGETSESSIONATTRS");
}

static void begins_where_the_links_are(void **state)
{
    struct pg_hosts hosts;
    struct pg_home home = {0};
    (void)state;
    pg_hosts_read(&hosts, "host=a,b,c port=1");
    assert_int_equal(hosts.n, 3);
    assert_int_equal(pg_hosts_first(&hosts, NULL), 0);
    assert_int_equal(pg_hosts_first(&hosts, &home), 0);
    pg_home_arrive(&home, "host=b port=1");
    assert_int_equal(pg_hosts_first(&hosts, &home), 1);
    /* It hangs: the others first, the next one before the one that it took over from. */
    pg_home_silent(&home, "host=a port=1");
    assert_int_equal(pg_hosts_first(&hosts, &home), 1);
    pg_home_silent(&home, "host=b port=1");
    assert_int_equal(pg_hosts_first(&hosts, &home), 2);
    pg_home_arrive(&home, "host=c port=1");
    assert_int_equal(pg_hosts_first(&hosts, &home), 2);
    pg_home_silent(&home, NULL);
    assert_int_equal(pg_hosts_first(&hosts, &home), 0);
    /* One that is named no more. */
    pg_home_arrive(&home, "host=d port=1");
    assert_int_equal(pg_hosts_first(&hosts, &home), 0);
    pg_hosts_clear(&hosts);
}

static void another_server_is_a_move(void **state)
{
    struct pg_home home = {0};
    (void)state;
    pg_home_arrive(&home, "host=a port=1"); /* the first one is none */
    pg_home_arrive(&home, "host=a port=1");
    assert_int_equal(pg_home_moves(&home), 0);
    pg_home_arrive(&home, "host=b port=1");
    assert_int_equal(pg_home_moves(&home), 1);
    assert_string_equal(home.server, "host=b port=1");
    pg_home_arrive(NULL, "host=b port=1");
    pg_home_silent(NULL, NULL);
    assert_int_equal(pg_home_moves(NULL), 0);
}

/* Of one system the timeline only rises; another system is another matter. */
static void a_former_primary_is_not_admitted(void **state)
{
    struct pg_home home = {0};
    struct pg_standing first = {.system = "77", .timeline = 1};
    struct pg_standing second = {.system = "77", .timeline = 2};
    struct pg_standing other = {.system = "78", .timeline = 1};
    struct pg_standing silent = {.system = "", .timeline = 0};
    (void)state;
    assert_true(pg_standing_admits(&first, &home));
    assert_true(pg_standing_admits(&first, &home));
    assert_true(pg_standing_admits(&second, &home));
    assert_false(pg_standing_admits(&first, &home));
    assert_int_equal(home.timeline, 2);
    assert_true(pg_standing_admits(&silent, &home));
    assert_false(pg_standing_admits(&first, &home));
    assert_true(pg_standing_admits(&other, &home));
    assert_true(pg_standing_admits(&first, &home));
    assert_true(pg_standing_admits(&first, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_host_by_itself),
        cmocka_unit_test(the_environment_names_them),
        cmocka_unit_test(begins_where_the_links_are),
        cmocka_unit_test(another_server_is_a_move),
        cmocka_unit_test(a_former_primary_is_not_admitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
