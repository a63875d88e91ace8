/* The source in front of a queue's link to Redis: what REDIS_URL names, by Sentinels, or by a
 * Cluster's nodes. A plain URL whose server turns out to be a Cluster's node becomes one of its
 * seeds.
 *
 * What Redis turns out to be never ends anything: what cannot be used is a sentence
 * (redis_finder_fault), and is asked for anew with each attempt. */
#ifndef RS_REDIS_FINDER_H
#define RS_REDIS_FINDER_H

#include "link/redis_source.h"

#include <stddef.h>

struct loop;
struct redis_finder;
struct redis_sentinels;
struct redis_url;

/* What is asked of whom: shared by the finders of one URL. */
struct redis_lookup {
    struct loop *loop;
    const struct redis_url *(*url)(void *arg); /* good until it is asked again */
    void *arg;
    const char *ca_file;               /* for TLS; NULL: the system's */
    struct redis_sentinels *sentinels; /* of the same URL; used where it names Sentinels */
};

/* The Sentinels of a URL, and one subscription to their word. lookup: without sentinels; copied.
 * NULL: out of memory. */
struct redis_sentinels *redis_sentinels_new(const struct redis_lookup *lookup);
void redis_sentinels_free(struct redis_sentinels *s); /* after its finders; NULL is legal */

/* key: one of the queue's keys in Redis, all of which are in its slot. lookup is copied, all in it
 * must outlive the finder. NULL: out of memory. */
struct redis_finder *redis_finder_new(const struct redis_lookup *lookup, const char *key);

/* After the link that it is the source of; NULL is legal. */
void redis_finder_free(struct redis_finder *f);

/* What a link is opened with (redis_link.h), to look for its server here. It refers to the finder.
 */
struct redis_source redis_finder_source(struct redis_finder *f);

#define REDIS_NODE_TEXT 300 /* "[host]:port", with its end */

/* The server in use, or that was in use last. */
struct redis_where {
    char node[REDIS_NODE_TEXT]; /* "host:port", or a socket's path; "": there was none */
    char found[512];            /* how it was found: a phrase, "as REDIS_URL names it" */
    char service[64];           /* of Sentinels: the master's name there, perhaps cut; "": none */
    const char *role;           /* "master"; "" as node */
    int slot;                   /* of a Cluster; -1: it is none */
};

/* Borrowed, for the finder's life; changes when a server has been found of use. */
const struct redis_where *redis_finder_where(const struct redis_finder *f);

/* NULL, or one sentence on why REDIS_URL cannot be meant so: the port of a Sentinel, or another
 * database than 0 of a Cluster. Of the last attempt that has ended; the same text each time. */
const char *redis_finder_fault(const struct redis_finder *f);

/* NULL, or why the Sentinels do not say at once that the master is another one: the error with
 * which the last one refused it. Good until another is asked. */
const char *redis_finder_deaf(const struct redis_finder *f);

/* The fault, or the reason that the link gives where there is none. */
const char *redis_finder_reason(const struct redis_finder *f, const char *reason);

#endif
