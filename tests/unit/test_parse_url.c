/* The parser of Redis URLs: what it takes, what it refuses, and every beginning of both. */
#include "base/parse.h"

#include "unit.h"
#include "variation.h"

#include <string.h>

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void test_redis_url(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        struct redis_address address;
    } rows[] = {
        {"redis://h", {.host = "h", .port = 6379}},
        {"redis://h/", {.host = "h", .port = 6379}},
        {"redis://h:1/15", {.host = "h", .port = 1, .db = 15}},
        {"REDIS://h", {.host = "h", .port = 6379}},
        {"rediss://h:2", {.host = "h", .port = 2, .tls = true}},
        {"redis://[::1]:7/3", {.host = "::1", .port = 7, .db = 3}},
        {"redis://[::1]", {.host = "::1", .port = 6379}},
        {"redis://:p@h", {.host = "h", .port = 6379, .password = "p"}},
        {"redis://u:p@h", {.host = "h", .port = 6379, .user = "u", .password = "p"}},
        {"redis://u:p:q@r@h", {.host = "h", .port = 6379, .user = "u", .password = "p:q@r"}},
        {"redis://u%40:%2F%3a%ff@h",
         {.host = "h", .port = 6379, .user = "u@", .password = "/:\xff"}},
        {"redis://@h", {.host = "h", .port = 6379}},
        {"unix:///run/redis.sock", {.path = "/run/redis.sock"}},
        {"unix:///a%20b?db=2", {.path = "/a b", .db = 2}},
        {"unix://:p@/s", {.path = "/s", .password = "p"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct redis_address *e = &rows[i].address;
        struct redis_address a = {0};
        const char *why = NULL;
        if (parse_redis_url(rows[i].url, &a, &why) != 0)
            fail_msg("%s: %s", rows[i].url, why);
        if (!same(a.host, e->host) || !same(a.path, e->path) || !same(a.user, e->user) ||
            !same(a.password, e->password) || a.port != e->port || a.db != e->db || a.tls != e->tls)
            fail_msg("%s: host %s path %s user %s port %d db %d", rows[i].url, a.host, a.path,
                     a.user, a.port, a.db);
        redis_address_clear(&a);
        assert_null(a.host);
        redis_address_clear(&a);
    }
}

static void test_redis_url_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "h",
        "h:6379",
        "://",
        "http://h",
        "redi://h",
        "redisss://h",
        "redis:/h",
        "redis://",
        "redis:///0",
        "redis://:6379",
        "redis://secret@h",
        "redis://secret:@h",
        "redis://:@h",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:x",
        "redis://h:",
        "redis://h:6379:1",
        "redis://::1",
        "redis://[::1",
        "redis://[::1]x",
        "redis://h/-1",
        "redis://h/x",
        "redis://h/1/2",
        "redis://h/99999999999",
        "redis://h?db=1",
        "redis://h/1?ssl=true",
        "redis://h/1#f",
        "redis://h#f",
        "redis://a b",
        "redis://h\n",
        "redis://:secret%@h",
        "redis://:secret%4@h",
        "redis://:secret%zz@h",
        "redis://:secret%00@h",
        "redis://%00:secret@h",
        "redis://:sec/ret@h",
        "redis://:sec?ret@h",
        "redis://:sec#ret@h",
        "unix://",
        "unix:///",
        "unix://path",
        "unix://host/path",
        "unix:///path?db=",
        "unix:///path?db=-1",
        "unix:///path?db=1&x=2",
        "unix:///path?x=1",
        "unix:///path#f",
        "unix:///path%00",
    };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct redis_address a = {.port = 4242};
        const char *why = NULL;
        if (parse_redis_url(urls[i], &a, &why) != -1)
            fail_msg("%s was taken", urls[i]);
        assert_non_null(why);
        assert_null(strstr(why, "sec"));
        assert_int_equal(a.port, 4242);
        assert_null(a.host);
    }
}

/* The longest path that a socket's address holds has 107 bytes. */
static void test_socket_path_length(void **state)
{
    (void)state;
    char url[128] = "unix:///";
    size_t scheme = strlen("unix://");
    struct redis_address a = {0};
    const char *why;
    memset(url + scheme + 1, 'x', 106);
    assert_int_equal(parse_redis_url(url, &a, &why), 0);
    redis_address_clear(&a);
    url[scheme + 107] = 'x';
    assert_int_equal(parse_redis_url(url, &a, &why), -1);
}

static void visit_url(const char *text)
{
    struct redis_address a;
    const char *why = NULL;
    if (parse_redis_url(text, &a, &why) != 0) {
        assert_non_null(why);
        return;
    }
    assert_true((a.host == NULL) != (a.path == NULL));
    assert_true(a.db >= 0);
    assert_true(a.path != NULL || (a.port >= 1 && a.port <= 65535));
    redis_address_clear(&a);
}

static void test_variations(void **state)
{
    (void)state;
    each_variation("rediss://us%65r:p%61ss@[2001:db8::1]:6380/12", visit_url);
    each_variation("redis://h.example:1/0", visit_url);
    each_variation("unix://u:p@/run/s%20x?db=3", visit_url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redis_url),
        cmocka_unit_test(test_redis_url_refused),
        cmocka_unit_test(test_socket_path_length),
        cmocka_unit_test(test_variations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
