/* The source of a link: the server that REDIS_URL names, the master that Sentinels name, or the
 * node of a Cluster that has the queue's slot.
 *
 * How it works. The URL is read anew at each attempt. A plain one whose server says that it is of a
 * Cluster, or answers MOVED, makes that server the first of the nodes that are asked. MOVED is
 * followed at once, without a question, five times within a second; then the nodes are asked, after
 * the link's delay. ASK, TRYAGAIN and CLUSTERDOWN are refusals: the link stays, and whoever uses it
 * tries again. */
#include "link/redis_find_private.h"

#include "base/clock.h"
#include "link/redis_link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOPS_MAX 5
#define HOPS_US SECOND_US /* within which they are counted */

static const char fault_sentinel[] =
    "REDIS_URL names a Sentinel as if it were Redis itself: it is written "
    "redis+sentinel://host:port/SERVICE";
static const char fault_database[] =
    "REDIS_URL names another database than 0, and a Redis Cluster has no other";

struct redis_finder {
    struct redis_lookup lookup;
    int slot;
    struct redis_link *link;
    struct redis_url url; /* of the last attempt */
    struct redis_cluster *cluster;
    struct redis_asker asker; /* of the Sentinels */
    redis_target_cb *cb;      /* NULL: nobody waits */
    void *cb_arg;
    bool of_cluster;         /* a plain URL's server has turned out to be a node */
    struct redis_node node;  /* of the last target */
    struct redis_node moved; /* where MOVED has sent us; port 0: nowhere */
    int hops;
    int64_t hops_us; /* since when they are counted */
    bool used;       /* the last target has been found of use */
    bool asks;       /* somebody has named it */
    char found[512]; /* who has */
    char why[REDIS_WHY_SIZE];
    const char *met;   /* a fault, in this attempt; NULL: none yet */
    const char *fault; /* of the last one that has ended */
    struct redis_where where;
};

static bool clustered(const struct redis_finder *f)
{
    return f->url.kind == REDIS_CLUSTER || f->of_cluster;
}

static void give(struct redis_finder *f, const struct redis_node *node, const char *found,
                 const char *why)
{
    redis_target_cb *cb = f->cb;
    const struct redis_address *server = &f->url.server;
    bool path = node != NULL && node->host[0] == '/';
    f->cb = NULL;
    if (node == NULL) {
        f->fault = f->met;
        cb(f->cb_arg, NULL, why);
        return;
    }
    f->node = *node;
    snprintf(f->found, sizeof(f->found), "%s", found);
    const struct redis_address address = {
        .host = path ? NULL : f->node.host,
        .path = path ? f->node.host : NULL,
        .port = f->node.port,
        .user = server->user,
        .password = server->password,
        .db = clustered(f) ? 0 : server->db,
        .tls = server->tls,
    };
    const struct redis_target target = {
        .address = &address,
        .tls_name = f->node.tls_name[0] != '\0' ? f->node.tls_name : NULL,
        .ask_role = f->url.kind == REDIS_SENTINELS,
    };
    cb(f->cb_arg, &target, NULL);
}

static void on_node(void *arg, const struct redis_node *node, const char *found, const char *why)
{
    struct redis_finder *f = arg;
    f->asks = node != NULL;
    give(f, node, found, why);
}

static void on_moved(void *arg, const char *why)
{
    struct redis_finder *f = arg;
    redis_link_follow(f->link, why);
}

/* What a plain URL names. */
static void give_named(struct redis_finder *f)
{
    const struct redis_address *server = &f->url.server;
    struct redis_node node = {.port = server->port};
    snprintf(node.host, sizeof(node.host), "%s",
             server->path != NULL ? server->path : server->host);
    give(f, &node, "as REDIS_URL names it", NULL);
}

static void give_moved(struct redis_finder *f)
{
    struct redis_node node = f->moved;
    char by[REDIS_NODE_TEXT];
    char found[sizeof(f->found)];
    redis_node_text(&f->node, by);
    f->moved.port = 0;
    snprintf(found, sizeof(found), "slot %d by MOVED of node %s of the Cluster", f->slot, by);
    give(f, &node, found, NULL);
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Whether two URLs name the same, whatever their passwords. */
static bool same_url(const struct redis_url *a, const struct redis_url *b)
{
    bool same = a->kind == b->kind && a->n_hosts == b->n_hosts &&
                a->server.port == b->server.port && same_text(a->server.host, b->server.host) &&
                same_text(a->server.path, b->server.path) && same_text(a->service, b->service);
    for (int i = 0; same && i < a->n_hosts; i++)
        same =
            a->hosts[i].port == b->hosts[i].port && strcmp(a->hosts[i].host, b->hosts[i].host) == 0;
    return same;
}

/* Returns 0, or -1: out of memory. */
static int read_url(struct redis_finder *f)
{
    struct redis_url former = f->url;
    int rc = redis_url_copy(&f->url, f->lookup.url(f->lookup.arg));
    if (rc != 0 || !same_url(&f->url, &former)) {
        f->of_cluster = false;
        f->moved.port = 0;
        redis_cluster_forget(f->cluster);
        redis_sentinels_leave(f->lookup.sentinels, &f->asker);
    }
    redis_url_clear(&former);
    return rc;
}

static void next(void *arg, redis_target_cb *cb, void *cb_arg)
{
    struct redis_finder *f = arg;
    assert(f->cb == NULL);
    f->cb = cb;
    f->cb_arg = cb_arg;
    f->met = NULL;
    f->used = f->asks = false;
    if (read_url(f) != 0) {
        give(f, NULL, NULL, "out of memory");
    } else if (f->url.kind == REDIS_SENTINELS) {
        redis_sentinels_ask(f->lookup.sentinels, &f->asker);
    } else if (!clustered(f)) {
        give_named(f);
    } else if (f->url.server.db != 0) {
        f->met = fault_database;
        give(f, NULL, NULL, f->met);
    } else if (f->moved.port != 0) {
        give_moved(f);
    } else {
        redis_cluster_ask(f->cluster, &f->url);
    }
}

static void cancel(void *arg)
{
    struct redis_finder *f = arg;
    f->cb = NULL;
    if (f->url.kind == REDIS_SENTINELS)
        redis_sentinels_cancel(&f->asker);
    else
        redis_cluster_cancel(f->cluster);
}

static void attach(void *arg, struct redis_link *link)
{
    struct redis_finder *f = arg;
    f->link = link;
    if (link == NULL)
        redis_sentinels_leave(f->lookup.sentinels, &f->asker);
}

static void note_where(struct redis_finder *f)
{
    struct redis_where *w = &f->where;
    const char *service = f->url.service;
    redis_node_text(&f->node, w->node);
    snprintf(w->found, sizeof(w->found), "%s", f->found);
    snprintf(w->service, sizeof(w->service), "%s", service != NULL ? service : "");
    w->role = "master";
    w->slot = clustered(f) ? f->slot : -1;
}

static enum redis_course greeted(void *arg, const struct redis_server_info *info, const char **why)
{
    struct redis_finder *f = arg;
    bool news = info->cluster && f->url.kind == REDIS_ONE && !f->of_cluster;
    if (info->sentinel) {
        *why = f->met = fault_sentinel;
        return REDIS_LEAVE;
    }
    if (news) {
        f->of_cluster = f->used = true;
        *why = "it is a node of a Cluster";
        return REDIS_FOLLOW;
    }
    if (!info->cluster && info->version[0] != '\0')
        f->of_cluster = false;
    f->used = true;
    f->fault = NULL;
    note_where(f);
    return REDIS_STAY;
}

/* MOVED: five times within a second it is followed at once. */
static bool may_hop(struct redis_finder *f)
{
    int64_t now_us = clock_mono_us();
    if (now_us - f->hops_us >= HOPS_US) {
        f->hops_us = now_us;
        f->hops = 0;
    }
    f->hops++;
    return f->hops <= HOPS_MAX;
}

static enum redis_course refused(void *arg, const struct redis_reply *error, const char **why)
{
    struct redis_finder *f = arg;
    struct redis_node to;
    char node[REDIS_NODE_TEXT];
    if (f->url.kind == REDIS_SENTINELS ||
        !redis_moved_read(redis_reply_str(error, NULL), &f->node, &to))
        return REDIS_STAY;
    f->of_cluster = f->url.kind == REDIS_ONE;
    redis_cluster_recall(f->cluster, &to);
    redis_node_text(&to, node);
    snprintf(f->why, sizeof(f->why), "the Cluster's slot %d is node %s's now", f->slot, node);
    *why = f->why;
    if (!may_hop(f))
        return REDIS_LEAVE;
    f->moved = to;
    return REDIS_FOLLOW;
}

static enum redis_course lost(void *arg, const char *reason)
{
    struct redis_finder *f = arg;
    bool replica = false;
    if (strstr(reason, "SELECT is not allowed in cluster mode") != NULL)
        f->met = fault_database;
    f->fault = f->met;
    if (f->url.kind == REDIS_ONE && !f->of_cluster && redis_link_info(f->link)->cluster)
        f->of_cluster = replica = true; /* and no master, or it would have been greeted */
    if (f->used || !f->asks)
        return replica ? REDIS_FOLLOW : REDIS_LEAVE;
    if (f->url.kind == REDIS_SENTINELS)
        redis_sentinels_doubt(f->lookup.sentinels);
    else
        redis_cluster_doubt(f->cluster);
    return REDIS_LEAVE;
}

struct redis_source redis_finder_source(struct redis_finder *f)
{
    return (struct redis_source){
        .next = next,
        .cancel = cancel,
        .attach = attach,
        .greeted = greeted,
        .refused = refused,
        .lost = lost,
        .arg = f,
    };
}

struct redis_finder *redis_finder_new(const struct redis_lookup *lookup, const char *key)
{
    struct redis_finder *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return NULL;
    f->lookup = *lookup;
    f->slot = redis_slot(key);
    f->where.role = "";
    f->where.slot = -1;
    f->asker.on_master = on_node;
    f->asker.on_moved = on_moved;
    f->asker.arg = f;
    f->cluster = redis_cluster_new(lookup, f->slot, on_node, f);
    if (f->cluster != NULL)
        return f;
    free(f);
    return NULL;
}

void redis_finder_free(struct redis_finder *f)
{
    if (f == NULL)
        return;
    redis_cluster_free(f->cluster);
    redis_url_clear(&f->url);
    free(f);
}

const struct redis_where *redis_finder_where(const struct redis_finder *f)
{
    return &f->where;
}

const char *redis_finder_fault(const struct redis_finder *f)
{
    return f->fault;
}

const char *redis_finder_deaf(const struct redis_finder *f)
{
    return f->url.kind == REDIS_SENTINELS ? redis_sentinels_deaf(f->lookup.sentinels) : NULL;
}

const char *redis_finder_reason(const struct redis_finder *f, const char *reason)
{
    return f->fault != NULL ? f->fault : reason;
}
