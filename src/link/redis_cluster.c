/* What a Cluster's nodes say: whose a slot is.
 *
 * How it works. Nodes are asked for CLUSTER SLOTS in turn, each for 300 ms: first who knew it last,
 * then those that the URL names, then all that an answer has named. Who says that it may not be
 * asked so is taken itself: where it is the wrong one it answers MOVED. */
#include "link/redis_find_private.h"

#include "link/redis_link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 64 /* to ask */

struct redis_cluster {
    struct redis_question *question;
    int slot;
    void (*on_node)(void *arg, const struct redis_node *node, const char *found, const char *why);
    void *arg;
    const struct redis_url *url;        /* while it waits; borrowed */
    struct redis_node nodes[NODES_MAX]; /* to be asked */
    int n;
    int asked; /* which of them is */
    struct redis_turn turn;
    bool waits;
    char why[REDIS_WHY_SIZE]; /* why nobody of this round knows */
};

static void add(struct redis_cluster *c, const struct redis_node *node)
{
    for (int i = 0; i < c->n; i++)
        if (redis_node_same(&c->nodes[i], node))
            return;
    if (c->n < NODES_MAX)
        c->nodes[c->n++] = *node;
}

static void add_host(struct redis_cluster *c, const char *host, int port)
{
    struct redis_node node = {.port = port};
    snprintf(node.host, sizeof(node.host), "%s", host);
    add(c, &node);
}

/* Those of the URL, behind those that are known already. */
static void add_named(struct redis_cluster *c)
{
    const struct redis_address *server = &c->url->server;
    for (int i = 0; i < c->url->n_hosts; i++)
        add_host(c, c->url->hosts[i].host, c->url->hosts[i].port);
    if (server->path != NULL)
        add_host(c, server->path, 0);
    else if (server->host != NULL)
        add_host(c, server->host, server->port);
}

static void end(struct redis_cluster *c, const struct redis_node *node, const char *found)
{
    c->waits = false;
    c->url = NULL;
    c->on_node(c->arg, node, found, c->why);
}

static void next(struct redis_cluster *c)
{
    static const char *const words[] = {"CLUSTER", "SLOTS"};
    const struct redis_address *server = &c->url->server;
    c->asked = redis_turn_next(&c->turn, c->n);
    if (c->asked < 0) {
        end(c, NULL, NULL);
        return;
    }
    struct redis_node *node = &c->nodes[c->asked];
    const bool path = node->host[0] == '/';
    const struct redis_address address = {
        .host = path ? NULL : node->host,
        .path = path ? node->host : NULL,
        .port = node->port,
        .user = server->user,
        .password = server->password,
        .tls = server->tls,
    };
    redis_question_ask(c->question, &address, node->tls_name[0] != '\0' ? node->tls_name : NULL, 2,
                       words, NULL);
}

/* It answers, and not to this: a right is missing, or a proxy knows no such command; or the server
 * that a plain URL names is of no Cluster any more. */
static bool is_mute(const struct redis_cluster *c, const struct redis_reply *reply)
{
    static const char no_cluster[] = "ERR This instance has cluster support disabled";
    const char *text = redis_reply_str(reply, NULL);
    return redis_reply_type(reply) == REDIS_LINK_ERROR &&
           (strncmp(text, "NOPERM", 6) == 0 || strncmp(text, "ERR unknown command", 19) == 0 ||
            (c->url->kind == REDIS_ONE && strncmp(text, no_cluster, strlen(no_cluster)) == 0));
}

/* The answer's nodes become those that are known, with who gave it as the first. */
static void take_nodes(struct redis_cluster *c, const struct redis_node *asked,
                       const struct redis_node *nodes, int n)
{
    struct redis_node first = *asked;
    c->n = 0;
    add(c, &first);
    add_named(c);
    for (int i = 0; i < n; i++)
        add(c, &nodes[i]);
    c->turn.first = 0;
}

static void on_answer(void *arg, const struct redis_reply *reply, const char *why)
{
    struct redis_cluster *c = arg;
    struct redis_node asked = c->nodes[c->asked];
    struct redis_node nodes[NODES_MAX - 1];
    char node[REDIS_NODE_TEXT];
    char found[sizeof(((struct redis_where *)0)->found)];
    int n;
    redis_node_text(&asked, node);
    if (is_mute(c, reply)) {
        snprintf(found, sizeof(found),
                 "slot %d, of which node %s does not say whose it is (%.100s)", c->slot, node,
                 redis_reply_str(reply, NULL));
        end(c, &asked, found);
        return;
    }
    n = redis_slots_read(reply, c->slot, &asked, nodes, NODES_MAX - 1);
    if (n > 0) {
        take_nodes(c, &asked, nodes, n);
        snprintf(found, sizeof(found), "slot %d by node %s of the Cluster", c->slot, node);
        end(c, &nodes[0], found);
        return;
    }
    if (reply == NULL || redis_reply_type(reply) == REDIS_LINK_ERROR)
        snprintf(c->why, sizeof(c->why), "node %s: %s", node,
                 reply == NULL ? why : redis_reply_str(reply, NULL));
    else
        snprintf(c->why, sizeof(c->why), "node %s knows nobody who serves slot %d of the Cluster",
                 node, c->slot);
    next(c);
}

void redis_cluster_ask(struct redis_cluster *c, const struct redis_url *url)
{
    assert(!c->waits);
    c->waits = true;
    c->url = url;
    c->why[0] = '\0';
    add_named(c);
    redis_turn_begin(&c->turn);
    next(c);
}

void redis_cluster_cancel(struct redis_cluster *c)
{
    c->waits = false;
    c->url = NULL;
    redis_turn_doubt(&c->turn); /* who is silent is not the first again */
    redis_question_drop(c->question);
}

void redis_cluster_recall(const struct redis_cluster *c, struct redis_node *node)
{
    for (int i = 0; i < c->n; i++)
        if (redis_node_same(&c->nodes[i], node))
            *node = c->nodes[i];
}

void redis_cluster_doubt(struct redis_cluster *c)
{
    redis_turn_doubt(&c->turn);
}

void redis_cluster_forget(struct redis_cluster *c)
{
    c->n = 0;
    c->turn.first = 0;
}

struct redis_cluster *redis_cluster_new(const struct redis_lookup *lookup, int slot,
                                        void (*on_node)(void *arg, const struct redis_node *node,
                                                        const char *found, const char *why),
                                        void *arg)
{
    struct redis_cluster *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    const struct redis_question_events events = {.on_answer = on_answer, .arg = c};
    c->slot = slot;
    c->on_node = on_node;
    c->arg = arg;
    c->question = redis_question_new(lookup->loop, lookup->ca_file, &events);
    if (c->question != NULL)
        return c;
    free(c);
    return NULL;
}

void redis_cluster_free(struct redis_cluster *c)
{
    if (c == NULL)
        return;
    redis_question_free(c->question);
    free(c);
}
