/* What a Redis Cluster's answers mean: whose a slot is. Nothing in them is trusted. */
#include "link/redis_find_private.h"

#include "base/parse.h"
#include "link/redis_link.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 16384

/* CRC-16/XMODEM, as the specification of Redis Cluster has it. */
static unsigned crc16(const char *text, size_t len)
{
    unsigned crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned)(unsigned char)text[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000U) != 0 ? crc << 1 ^ 0x1021U : crc << 1;
        crc &= 0xffffU;
    }
    return crc;
}

int redis_slot(const char *key)
{
    const char *open = strchr(key, '{');
    const char *close = open != NULL ? strchr(open + 1, '}') : NULL;
    if (close == NULL || close == open + 1)
        return (int)(crc16(key, strlen(key)) % SLOTS);
    return (int)(crc16(open + 1, (size_t)(close - open - 1)) % SLOTS);
}

void redis_node_text(const struct redis_node *node, char text[static REDIS_NODE_TEXT])
{
    if (node->host[0] == '/')
        snprintf(text, REDIS_NODE_TEXT, "%s", node->host);
    else
        snprintf(text, REDIS_NODE_TEXT, strchr(node->host, ':') != NULL ? "[%s]:%d" : "%s:%d",
                 node->host, node->port);
}

bool redis_node_same(const struct redis_node *a, const struct redis_node *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool redis_host_take(const char *host, size_t len, char out[static REDIS_HOST_SIZE])
{
    if (len == 0 || len >= REDIS_HOST_SIZE || host[0] == '/')
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)host[i] <= ' ' || host[i] == '\x7f')
            return false;
    memcpy(out, host, len);
    out[len] = '\0';
    return true;
}

static bool is_address(const char *host)
{
    struct in_addr v4;
    return strchr(host, ':') != NULL || inet_pton(AF_INET, host, &v4) == 1;
}

/* A node that is told as an address in numbers, without a name, may have the name of whoever told
 * it in its certificate: services have one for all nodes. */
static void take_name_of_asked(struct redis_node *node, const struct redis_node *asked)
{
    bool named = asked->host[0] != '/' && !is_address(asked->host);
    if (is_address(node->host))
        snprintf(node->tls_name, sizeof(node->tls_name), "%s",
                 asked->tls_name[0] == '\0' && named ? asked->host : asked->tls_name);
}

/* Behind a socket is this machine. */
static void take_asked(struct redis_node *node, const struct redis_node *asked)
{
    bool path = asked->host[0] == '/';
    snprintf(node->host, sizeof(node->host), "%s", path ? "127.0.0.1" : asked->host);
    snprintf(node->tls_name, sizeof(node->tls_name), "%s", asked->tls_name);
}

/* The name that it is told beside the address: ["hostname", name, ...]. */
static void take_name(struct redis_node *node, const struct redis_reply *metadata)
{
    for (size_t i = 0; i + 1 < redis_reply_len(metadata); i += 2) {
        size_t len;
        const char *name = redis_reply_str(redis_reply_at(metadata, i + 1), &len);
        if (strcmp(redis_reply_str(redis_reply_at(metadata, i), NULL), "hostname") == 0)
            (void)redis_host_take(name, len, node->tls_name);
    }
}

/* [endpoint, port, id, metadata], of which older versions have no metadata. */
static bool take_node(struct redis_node *node, const struct redis_reply *reply,
                      const struct redis_node *asked)
{
    size_t len;
    const char *host = redis_reply_str(redis_reply_at(reply, 0), &len);
    int64_t port = redis_reply_int(redis_reply_at(reply, 1));
    memset(node, 0, sizeof(*node));
    if (redis_reply_len(reply) < 2 || port < 1 || port > 65535)
        return false;
    node->port = (int)port;
    if (len == 0 || strcmp(host, "?") == 0)
        take_asked(node, asked);
    else if (redis_host_take(host, len, node->host))
        take_name_of_asked(node, asked);
    else
        return false;
    take_name(node, redis_reply_at(reply, 3));
    return true;
}

/* Whether the nodes hold it already, and if not, with it. */
static int add_node(struct redis_node *nodes, int n, int max, const struct redis_node *node)
{
    for (int i = 0; i < n; i++)
        if (redis_node_same(&nodes[i], node))
            return n;
    if (n < max)
        nodes[n++] = *node;
    return n;
}

static const struct redis_reply *range_of(const struct redis_reply *reply, int slot)
{
    for (size_t i = 0; i < redis_reply_len(reply); i++) {
        const struct redis_reply *range = redis_reply_at(reply, i);
        if (redis_reply_len(range) >= 3 &&
            redis_reply_type(redis_reply_at(range, 0)) == REDIS_LINK_INTEGER &&
            redis_reply_type(redis_reply_at(range, 1)) == REDIS_LINK_INTEGER &&
            redis_reply_int(redis_reply_at(range, 0)) <= slot &&
            slot <= redis_reply_int(redis_reply_at(range, 1)))
            return range;
    }
    return NULL;
}

int redis_slots_read(const struct redis_reply *reply, int slot, const struct redis_node *asked,
                     struct redis_node *nodes, int max)
{
    struct redis_node node;
    int n;
    if (!take_node(&node, redis_reply_at(range_of(reply, slot), 2), asked))
        return 0;
    n = add_node(nodes, 0, max, &node);
    for (size_t i = 0; i < redis_reply_len(reply); i++) {
        const struct redis_reply *range = redis_reply_at(reply, i);
        for (size_t j = 2; j < redis_reply_len(range); j++)
            if (take_node(&node, redis_reply_at(range, j), asked))
                n = add_node(nodes, n, max, &node);
    }
    return n;
}

bool redis_moved_read(const char *text, const struct redis_node *asked, struct redis_node *to)
{
    static const char moved[] = "MOVED ";
    const char *place = strncmp(text, moved, strlen(moved)) == 0 ? text + strlen(moved) : "";
    const char *colon = strrchr(place, ':');
    int64_t port;
    size_t len;
    place = strchr(place, ' ');
    if (place == NULL || colon == NULL || colon < place ||
        parse_int(colon + 1, 1, 65535, &port) != 0)
        return false;
    memset(to, 0, sizeof(*to));
    to->port = (int)port;
    place++;
    len = (size_t)(colon - place);
    if (len == 0 || (len == 1 && *place == '?')) {
        take_asked(to, asked);
        return true;
    }
    if (!redis_host_take(place, len, to->host))
        return false;
    take_name_of_asked(to, asked);
    return true;
}
