/* The parser of Redis URLs: what it takes, what it refuses, and every beginning of both. */
#include "base/parse.h"

#include "unit.h"
#include "variation.h"

#include <stdio.h>
#include <stdlib.h>
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
        struct redis_url u = {0};
        const char *why = NULL;
        if (parse_redis_url(rows[i].url, &u, &why) != 0)
            fail_msg("%s: %s", rows[i].url, why);
        const struct redis_address a = u.server;
        assert_int_equal(u.kind, REDIS_ONE);
        assert_int_equal(u.n_hosts, 0);
        if (!same(a.host, e->host) || !same(a.path, e->path) || !same(a.user, e->user) ||
            !same(a.password, e->password) || a.port != e->port || a.db != e->db || a.tls != e->tls)
            fail_msg("%s: host %s path %s user %s port %d db %d", rows[i].url, a.host, a.path,
                     a.user, a.port, a.db);
        redis_url_clear(&u);
        assert_null(u.server.host);
        redis_url_clear(&u);
    }
}

/* Several hosts as one text, "host:port host:port", and what holds for all of them. */
static void test_several_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *url, *hosts, *service, *sentinel_user, *sentinel_password;
        struct redis_address server;
        enum redis_kind kind;
    } rows[] = {
        {.url = "redis+sentinel://a/m",
         .kind = REDIS_SENTINELS,
         .hosts = "a:26379",
         .service = "m"},
        {.url = "rediss+sentinel://a:1,b,[::1]:2,[fe80::1]/m/",
         .kind = REDIS_SENTINELS,
         .hosts = "a:1 b:26379 ::1:2 fe80::1:26379",
         .service = "m",
         .server = {.tls = true}},
        {.url = "Redis+Sentinel://u:p%2C@a,b/my%20master/3?sentinel_username=s%26&"
                "sentinel_password=%3Fq",
         .kind = REDIS_SENTINELS,
         .hosts = "a:26379 b:26379",
         .service = "my master",
         .sentinel_user = "s&",
         .sentinel_password = "?q",
         .server = {.user = "u", .password = "p,", .db = 3}},
        {.url = "redis+sentinel://a/m?sentinel_password=q",
         .kind = REDIS_SENTINELS,
         .hosts = "a:26379",
         .service = "m",
         .sentinel_password = "q"},
        {.url = "redis+cluster://a", .kind = REDIS_CLUSTER, .hosts = "a:6379"},
        {.url = "rediss+cluster://:p,q@a:7000,b/0",
         .kind = REDIS_CLUSTER,
         .hosts = "a:7000 b:6379",
         .server = {.password = "p,q", .tls = true}},
        {.url = "redis+cluster://a,b/4",
         .kind = REDIS_CLUSTER,
         .hosts = "a:6379 b:6379",
         .server = {.db = 4}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct redis_address *e = &rows[i].server;
        struct redis_url parsed = {0};
        struct redis_url u;
        const char *why = NULL;
        char hosts[128] = "";
        if (parse_redis_url(rows[i].url, &parsed, &why) != 0)
            fail_msg("%s: %s", rows[i].url, why);
        assert_int_equal(redis_url_copy(&u, &parsed), 0);
        redis_url_clear(&parsed);
        for (int h = 0; h < u.n_hosts; h++)
            snprintf(hosts + strlen(hosts), sizeof(hosts) - strlen(hosts), "%s%s:%d",
                     h > 0 ? " " : "", u.hosts[h].host, u.hosts[h].port);
        assert_string_equal(hosts, rows[i].hosts);
        assert_int_equal(u.kind, rows[i].kind);
        if (!same(u.service, rows[i].service) || !same(u.sentinel_user, rows[i].sentinel_user) ||
            !same(u.sentinel_password, rows[i].sentinel_password) ||
            !same(u.server.user, e->user) || !same(u.server.password, e->password) ||
            u.server.db != e->db || u.server.tls != e->tls || u.server.host != NULL)
            fail_msg("%s: service %s, Sentinel's user %s, db %d", rows[i].url, u.service,
                     u.sentinel_user, u.server.db);
        redis_url_clear(&u);
    }
}

static void test_described(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"redis://u:p@h/1", "h:6379/1"},
        {"redis+sentinel://u:p@a,[::1]:2/m/3?sentinel_username=s&sentinel_password=q",
         "Sentinels at a:26379,[::1]:2, service m, database 3"},
        {"redis+cluster://:p@a,b:7", "Cluster at a:6379,b:7, database 0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct redis_url u;
        const char *why;
        assert_int_equal(parse_redis_url(rows[i][0], &u, &why), 0);
        char *text = redis_url_describe(&u);
        assert_string_equal(text, rows[i][1]);
        free(text);
        redis_url_clear(&u);
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
        "redis://a,b",
        "redis://a,b/1",
        "sentinel://a/m",
        "redis+sentinels://a/m",
        "redis+sentinel://a",
        "redis+sentinel://a/",
        "redis+sentinel://a//1",
        "redis+sentinel:///m",
        "redis+sentinel://a,/m",
        "redis+sentinel://,a/m",
        "redis+sentinel://a,,b/m",
        "redis+sentinel://:1/m",
        "redis+sentinel://a:0/m",
        "redis+sentinel://::1/m",
        "redis+sentinel://a:1:2/m",
        "redis+sentinel://a/m/x",
        "redis+sentinel://a/m/1/2",
        "redis+sentinel://a/m%0a",
        "redis+sentinel://a/m%zz",
        "redis+sentinel://a/m#f",
        "redis+sentinel://secret@a/m",
        "redis+sentinel://a/m?",
        "redis+sentinel://a/m?db=1",
        "redis+sentinel://a/m?sentinel_username=secret",
        "redis+sentinel://a/m?sentinel_password=",
        "redis+sentinel://a/m?sentinel_password=secret%0",
        "redis+sentinel://a/m?sentinel_password=secret#f",
        "redis+sentinel://a/m?sentinel_password=secret&",
        "redis+sentinel://a/m?sentinel_password=secret&sentinel_password=secret",
        "redis+sentinel://a/m?password=secret",
        "redis+cluster://",
        "redis+cluster://a,",
        "redis+cluster://a/x",
        "redis+cluster://a/m/1",
        "redis+cluster://a?x=1",
        "redis+cluster://secret@a",
    };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct redis_url a = {.server.port = 4242};
        const char *why = NULL;
        if (parse_redis_url(urls[i], &a, &why) != -1)
            fail_msg("%s was taken", urls[i]);
        assert_non_null(why);
        assert_null(strstr(why, "secret"));
        assert_int_equal(a.server.port, 4242);
        assert_null(a.hosts[0].host);
    }
}

/* Each mistake has its own sentence. */
static void test_sentences(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"http://h", "it begins with redis:// or"},
        {"redis://h1,h2", "several are named with redis+sentinel:// or redis+cluster://"},
        {"redis+sentinel://h", "/SERVICE"},
        {"redis+sentinel://h/m/x", "the database is"},
        {"redis+sentinel://h/m?sentinel_username=u", "no user without a password"},
        {"redis+cluster://h,", "one to 32 hosts"},
        {"redis+cluster://h?x", "no parameters are known"},
        {"redis://h#x", "no parameters are known"},
        {"redis://u:p@ss/w#rd@h/0", "in a password are written as"},
        {"redis://u:12/x@h/0", "in a password are written as"},
        {"redis+cluster://u:p@ss/w#rd@h/0", "in a password are written as"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct redis_url u;
        const char *why = NULL;
        assert_int_equal(parse_redis_url(rows[i][0], &u, &why), -1);
        if (strstr(why, rows[i][1]) == NULL)
            fail_msg("%s: %s", rows[i][0], why);
    }
}

static void test_most_hosts(void **state)
{
    (void)state;
    char url[128] = "redis+cluster://h";
    struct redis_url u;
    const char *why;
    for (int i = 1; i < REDIS_HOSTS_MAX; i++)
        strncat(url, ",h", sizeof(url) - strlen(url) - 1);
    assert_int_equal(parse_redis_url(url, &u, &why), 0);
    assert_int_equal(u.n_hosts, REDIS_HOSTS_MAX);
    redis_url_clear(&u);
    strncat(url, ",h", sizeof(url) - strlen(url) - 1);
    assert_int_equal(parse_redis_url(url, &u, &why), -1);
}

/* The longest path that a socket's address holds has 107 bytes. */
static void test_socket_path_length(void **state)
{
    (void)state;
    char url[128] = "unix:///";
    size_t scheme = strlen("unix://");
    struct redis_url a = {0};
    const char *why;
    memset(url + scheme + 1, 'x', 106);
    assert_int_equal(parse_redis_url(url, &a, &why), 0);
    redis_url_clear(&a);
    url[scheme + 107] = 'x';
    assert_int_equal(parse_redis_url(url, &a, &why), -1);
}

static void visit_url(const char *text)
{
    struct redis_url u;
    const char *why = NULL;
    if (parse_redis_url(text, &u, &why) != 0) {
        assert_non_null(why);
        return;
    }
    assert_true(u.server.db >= 0);
    assert_true((u.kind == REDIS_ONE) == (u.n_hosts == 0));
    if (u.kind == REDIS_ONE)
        assert_true((u.server.host == NULL) != (u.server.path == NULL));
    redis_url_clear(&u);
}

static void test_variations(void **state)
{
    (void)state;
    each_variation("rediss://us%65r:p%61ss@[2001:db8::1]:6380/12", visit_url);
    each_variation("redis://h.example:1/0", visit_url);
    each_variation("unix://u:p@/run/s%20x?db=3", visit_url);
    each_variation("redis+sentinel://u:p@a,[::1]:2/m%20/3?sentinel_username=s&sentinel_password=q",
                   visit_url);
    each_variation("rediss+cluster://a:1,b/0", visit_url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_redis_url),          cmocka_unit_test(test_several_hosts),
        cmocka_unit_test(test_described),          cmocka_unit_test(test_redis_url_refused),
        cmocka_unit_test(test_sentences),          cmocka_unit_test(test_most_hosts),
        cmocka_unit_test(test_socket_path_length), cmocka_unit_test(test_variations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
