/* Where a Redis is: whose a slot is, what MOVED says, who is asked next. */
#include "link/redis_find_private.h"
#include "link/redis_link_private.h"
#include "unit.h"
#include "variation.h"

#include <string.h>

static const struct redis_node asked = {"10.0.0.9", 7009, "name.asked"};

static void test_slots_of_keys(void **state)
{
    (void)state;
    /* As a server's CLUSTER KEYSLOT says. */
    static const struct {
        const char *key;
        int slot;
    } rows[] = {
        {"", 0},
        {"foo", 12182},
        {"bar", 5061},
        {"123456789", 0x31c3},
        {"{foo}:pending", 12182},
        {"x{foo}{bar}", 12182},
        {"foo{}{bar}", 8363},
        {"foo{bar", 15278},
        {"{reservations}:pending", 11172},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (redis_slot(rows[i].key) != rows[i].slot)
            fail_msg("%s: %d", rows[i].key, redis_slot(rows[i].key));
}

/* Reads the slot of an answer in Redis's own protocol: "host:port/tls-name host:port/..." */
static const char *nodes_of(const char *answer, size_t len, int slot, int max)
{
    static char text[1024];
    struct redis_node nodes[8];
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    assert_non_null(reader);
    assert_int_equal(redisReaderFeed(reader, answer, len), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    int n = redis_slots_read(redis_reply_wrap(reply), slot, &asked, nodes, max);
    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        char node[REDIS_NODE_TEXT];
        redis_node_text(&nodes[i], node);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s/%s", i > 0 ? " " : "",
                 node, nodes[i].tls_name);
    }
    if (reply != NULL)
        freeReplyObject(reply);
    redisReaderFree(reader);
    return text;
}

#define NODE(host, port) "*3\r\n" host ":" port "\r\n$1\r\nx\r\n"
#define NAMED(host, port, name)                                                                    \
    "*4\r\n" host ":" port "\r\n$1\r\nx\r\n*4\r\n$2\r\nip\r\n$1\r\ni\r\n$8\r\nhostname\r\n" name
#define RANGE(first, last, nodes) "*4\r\n:" first "\r\n:" last "\r\n" nodes

static void test_slots_read(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        int slot;
        const char *nodes;
    } rows[] = {
        {"*1\r\n" RANGE("0", "99", NODE("$1\r\na\r\n", "1") NODE("$1\r\nb\r\n", "2")), 99,
         "a:1/ b:2/"},
        {"*1\r\n" RANGE("0", "99", NODE("$1\r\na\r\n", "1") NODE("$1\r\nb\r\n", "2")), 100, ""},
        /* The slot's master first, each once. */
        {"*2\r\n" RANGE("0", "9", NODE("$1\r\na\r\n", "1") NODE("$1\r\nb\r\n", "2"))
             RANGE("10", "19", NODE("$1\r\nb\r\n", "2") NODE("$3\r\n::1\r\n", "3")),
         15, "b:2/ a:1/ [::1]:3/name.asked"},
        /* It does not know its own name: that under which it was asked. */
        {"*1\r\n" RANGE("0", "9", NODE("$0\r\n\r\n", "1") NODE("$1\r\n?\r\n", "2")), 0,
         "10.0.0.9:1/name.asked 10.0.0.9:2/name.asked"},
        {"*1\r\n" RANGE("0", "9", NODE("$-1\r\n", "1") NODE("$1\r\nb\r\n", "2")), 0,
         "10.0.0.9:1/name.asked b:2/"},
        {"*1\r\n*3\r\n:0\r\n:9\r\n" NAMED("$1\r\na\r\n", "1", "$6\r\na.name\r\n"), 0, "a:1/a.name"},
        {"*1\r\n*3\r\n:0\r\n:9\r\n" NAMED("$1\r\na\r\n", "1", "$0\r\n\r\n"), 0, "a:1/"},
        /* Without a name an address in numbers has that of who was asked; a name is its own. */
        {"*1\r\n" RANGE("0", "9", NODE("$8\r\n10.0.0.1\r\n", "1") NODE("$4\r\n10.a\r\n", "2")), 0,
         "10.0.0.1:1/name.asked 10.a:2/"},
        {"*1\r\n*3\r\n:0\r\n:9\r\n" NAMED("$8\r\n10.0.0.1\r\n", "1", "$6\r\na.name\r\n"), 0,
         "10.0.0.1:1/a.name"},
        /* What is no host, no port, no range. */
        {"*1\r\n*3\r\n:0\r\n:9\r\n" NODE("$3\r\na b\r\n", "1"), 0, ""},
        {"*1\r\n*3\r\n:0\r\n:9\r\n" NODE("$2\r\n/a\r\n", "1"), 0, ""},
        {"*1\r\n*3\r\n:0\r\n:9\r\n" NODE("$1\r\na\r\n", "0"), 0, ""},
        {"*1\r\n*3\r\n:0\r\n:9\r\n" NODE("$1\r\na\r\n", "65536"), 0, ""},
        {"*1\r\n*3\r\n$1\r\n0\r\n:9\r\n" NODE("$1\r\na\r\n", "1"), 0, ""},
        {"*1\r\n*2\r\n:0\r\n:9\r\n", 0, ""},
        {"*0\r\n", 0, ""},
        {"-ERR x\r\n", 0, ""},
        {"$-1\r\n", 0, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *nodes = nodes_of(rows[i].answer, strlen(rows[i].answer), rows[i].slot, 8);
        if (strcmp(nodes, rows[i].nodes) != 0)
            fail_msg("%zu: %s", i, nodes);
    }
    assert_string_equal(nodes_of(rows[2].answer, strlen(rows[2].answer), 15, 2), "b:2/ a:1/");
}

/* Behind a socket there is this machine. */
static void test_asked_by_socket(void **state)
{
    struct redis_node to;
    const struct redis_node behind = {"/run/redis.sock", 0, ""};
    (void)state;
    assert_true(redis_moved_read("MOVED 1 :7", &behind, &to));
    assert_string_equal(to.host, "127.0.0.1");
}

static void visit_answer(const char *text)
{
    (void)nodes_of(text, strlen(text), 3, 8);
}

static void visit_moved(const char *text)
{
    struct redis_node to;
    if (redis_moved_read(text, &asked, &to)) {
        assert_true(to.host[0] != '\0' && strlen(to.host) < sizeof(to.host));
        assert_true(to.port >= 1 && to.port <= 65535);
    }
}

static void test_moved(void **state)
{
    (void)state;
    static const struct {
        const char *text, *to;
    } rows[] = {
        {"MOVED 3999 127.0.0.1:6381", "127.0.0.1:6381"},
        {"MOVED 3999 fe80::1:6381", "[fe80::1]:6381"},
        {"MOVED 3999 node.example:1", "node.example:1"},
        {"MOVED 3999 :6380", "10.0.0.9:6380"},
        {"MOVED 3999 ?:6380", "10.0.0.9:6380"},
        {"MOVED 3999 h:0", NULL},
        {"MOVED 3999 h:65536", NULL},
        {"MOVED 3999 h", NULL},
        {"MOVED 3999", NULL},
        {"MOVED ", NULL},
        {"MOVED", NULL},
        {"MOVED 3999 /h:1", NULL},
        {"MOVED 3999 a b:1", NULL},
        {"MOVEDX 1 h:1", NULL},
        {"ASK 3999 127.0.0.1:6381", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct redis_node to;
        char text[REDIS_NODE_TEXT] = "";
        bool moved = redis_moved_read(rows[i].text, &asked, &to);
        if (moved)
            redis_node_text(&to, text);
        if (moved != (rows[i].to != NULL) || (moved && strcmp(text, rows[i].to) != 0))
            fail_msg("%s: %s", rows[i].text, text);
    }
}

static void test_long_hosts(void **state)
{
    char text[400] = "MOVED 1 ";
    size_t at = strlen(text);
    struct redis_node to;
    (void)state;
    memset(text + at, 'x', 255);
    memcpy(text + at + 255, ":1", 3);
    assert_true(redis_moved_read(text, &asked, &to));
    memset(text + at, 'x', 256);
    memcpy(text + at + 256, ":1", 3);
    assert_false(redis_moved_read(text, &asked, &to));
}

static void test_variations(void **state)
{
    (void)state;
    each_variation("MOVED 3999 127.0.0.1:6381", visit_moved);
    static const char answer[] =
        "*1\r\n" RANGE("0", "9", NODE("$1\r\na\r\n", "1") NODE("$1\r\nb\r\n", "2"));
    for (size_t len = 1; len < sizeof(answer) - 1; len++)
        (void)nodes_of(answer, len, 3, 8);
    visit_answer(answer);
}

static void test_turns(void **state)
{
    struct redis_turn t = {0};
    (void)state;
    redis_turn_begin(&t);
    assert_int_equal(redis_turn_next(&t, 0), -1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(redis_turn_next(&t, 3), i);
    assert_int_equal(redis_turn_next(&t, 3), -1);

    /* The second was good: it is the first, each is asked all the same. */
    redis_turn_begin(&t);
    (void)redis_turn_next(&t, 3);
    assert_int_equal(redis_turn_next(&t, 3), 1);
    redis_turn_good(&t);
    for (int round = 0; round < 2; round++) {
        redis_turn_begin(&t);
        assert_int_equal(redis_turn_next(&t, 3), 1);
        redis_turn_good(&t);
    }
    redis_turn_doubt(&t);
    redis_turn_begin(&t);
    assert_int_equal(redis_turn_next(&t, 3), 2);
    assert_int_equal(redis_turn_next(&t, 3), 0);
    assert_int_equal(redis_turn_next(&t, 3), 1);
    assert_int_equal(redis_turn_next(&t, 3), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_of_keys),   cmocka_unit_test(test_slots_read),
        cmocka_unit_test(test_asked_by_socket), cmocka_unit_test(test_moved),
        cmocka_unit_test(test_long_hosts),      cmocka_unit_test(test_variations),
        cmocka_unit_test(test_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
