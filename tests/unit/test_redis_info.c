/* What INFO says of a server, and whether it is of use. */
#include "link/redis_link_private.h"
#include "unit.h"

#include <string.h>

#define GOOD                                                                                       \
    "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:abc\r\n"                  \
    "maxmemory_policy:noeviction\r\nloading:0\r\nrole:master\r\n"

static void test_a_server_of_use(void **state)
{
    struct redis_server_info info;
    (void)state;
    memset(&info, 0xff, sizeof(info));
    assert_null(redis_info_read(&info, GOOD));
    assert_string_equal(info.server, "Redis");
    assert_string_equal(info.version, "7.0.15");
    assert_string_equal(info.run_id, "abc");
    assert_string_equal(info.maxmemory_policy, "noeviction");
    assert_false(info.cluster);
    assert_null(redis_info_read(&info, "redis_mode:cluster"));
    assert_true(info.cluster && !info.sentinel);
    assert_null(redis_info_read(&info, "redis_mode:sentinel"));
    assert_true(info.sentinel && !info.cluster);
    /* Valkey's words. */
    assert_null(redis_info_read(&info, "redis_version:7.2.4\r\nserver_mode:cluster\r\n"));
    assert_true(info.cluster);
    assert_null(redis_info_read(&info, "redis_version:7.2.4\r\nserver_name:valkey\r\n"
                                       "valkey_version:8.1.1\r\n"));
    assert_string_equal(info.server, "Valkey");
    assert_string_equal(info.version, "8.1.1");
    assert_non_null(redis_info_read(&info, "redis_version:6.0.1\r\nvalkey_version:8.1.1\r\n"));
    assert_null(redis_info_read(&info, "server_mode:sentinel"));
    assert_true(info.sentinel);
    assert_null(redis_info_read(&info, ""));
    assert_string_equal(info.version, "");
    assert_false(info.cluster);
}

/* A name is a whole name at the beginning of a line, a value ends with it. */
static void test_fields(void **state)
{
    struct redis_server_info info;
    (void)state;
    assert_null(redis_info_read(&info, "xrole:slave\r\nroles:slave\r\nnot role:slave\r\n"));
    assert_null(redis_info_read(&info, "run_id:a\nredis_version:7.2\rrole:slave"));
    assert_string_equal(info.run_id, "a");
    assert_string_equal(info.version, "7.2");
    assert_null(redis_info_read(&info, "run_id:0123456789012345678901234567890123456789"
                                       "0123456789\r\n"));
    assert_int_equal(strlen(info.run_id), sizeof(info.run_id) - 1);
}

static void test_of_no_use(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"redis_version:6.1.9", "older"},
        {"redis_version:5.9.1", "older"},
        {"redis_version:6.2.0", NULL},
        {"redis_version:6.10.0", NULL},
        {"redis_version:7.0.0", NULL},
        {"redis_version:10.1", NULL},
        {"redis_version:unknown", NULL},
        {"redis_version:6", NULL},
        {"redis_version:.1", NULL},
        {"loading:1\r\nrole:master", "LOADING"},
        {"loading:10", NULL},
        {"role:slave", "replica"},
        {"role=slave", NULL},
        {"role:replica\r\n", "replica"},
        {"role:sentinel", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct redis_server_info info;
        const char *why = redis_info_read(&info, rows[i].text);
        if (rows[i].why == NULL) {
            assert_null(why);
        } else {
            assert_non_null(why);
            assert_non_null(strstr(why, rows[i].why));
        }
    }
}

/* Why a name with several addresses cannot be connected to: what counts may be said of any of them.
 */
static void test_refusals(void **state)
{
    char all[48] = "", small[8] = "";
    (void)state;
    redis_refusal_add(all, sizeof(all), "Connection refused");
    assert_string_equal(all, "Connection refused");
    redis_refusal_add(all, sizeof(all), "Connection refused");
    assert_string_equal(all, "Connection refused");
    redis_refusal_add(all, sizeof(all), "Address not there");
    redis_refusal_add(all, sizeof(all), "Connection refused");
    assert_string_equal(all, "Connection refused; Address not there");
    redis_refusal_add(small, sizeof(small), "Connection refused");
    assert_string_equal(small, "Connect");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_server_of_use),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_of_no_use),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
