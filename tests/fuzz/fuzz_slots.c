/* What the nodes of a Cluster say of whose a slot is: the first byte says how; the rest is an
 * answer to CLUSTER SLOTS, as bytes of Redis's protocol, or the text of an error. */
#include "fuzz.h"
#include "link/redis_find_private.h"
#include "link/redis_link_private.h"

#define NODES 4

static const struct redis_node asked = {"asked.example", 7000, "asked.example"};

static void check_node(const struct redis_node *node)
{
    char text[REDIS_NODE_TEXT];
    FUZZ_CHECK(memchr(node->host, '\0', sizeof(node->host)) != NULL && node->host[0] != '\0');
    FUZZ_CHECK(memchr(node->tls_name, '\0', sizeof(node->tls_name)) != NULL);
    FUZZ_CHECK(node->host[0] != '/' && node->port >= 1 && node->port <= 65535);
    for (const char *c = node->host; *c != '\0'; c++)
        FUZZ_CHECK((unsigned char)*c > ' ' && *c != '\x7f');
    redis_node_text(node, text);
    FUZZ_CHECK(text[0] != '\0');
}

static void slots(const uint8_t *data, size_t size)
{
    struct redis_node nodes[NODES];
    struct redis_reader *reader = redis_reader_new();
    const char *why;
    FUZZ_CHECK_MEMORY(reader != NULL);
    if (reader == NULL)
        return;
    if (redis_reader_feed(reader, (const char *)data, size) == 0) {
        struct redis_reply *reply = redis_reader_next(reader, &why);
        int n = redis_slots_read(reply, 11172, &asked, nodes, NODES);
        FUZZ_CHECK(n >= 0 && n <= NODES);
        for (int i = 0; i < n; i++) {
            check_node(&nodes[i]);
            for (int j = 0; j < i; j++)
                FUZZ_CHECK(!redis_node_same(&nodes[i], &nodes[j]));
        }
        if (reply != NULL)
            redis_reply_free(reply);
    }
    redis_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct redis_node to;
    if (size == 0)
        return 0;
    if (data[0] == 's') {
        slots(data + 1, size - 1);
        return 0;
    }
    char *text = fuzz_text(data + 1, size - 1);
    if (redis_moved_read(text, &asked, &to))
        check_node(&to);
    FUZZ_CHECK(redis_slot(text) >= 0 && redis_slot(text) < 16384);
    free(text);
    return 0;
}
