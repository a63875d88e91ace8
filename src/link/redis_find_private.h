/* What the parts of the search for a Redis server share. Each uses those below it alone:
 *
 *   redis_finder.c     the source of a link
 *   redis_sentinels.c  what Sentinels say; beside it redis_cluster.c, what a Cluster's nodes say
 *   redis_question.c   a connection on which one question is asked; beside it redis_turn.c, who is
 *                      asked next
 *   redis_slots.c      what a Cluster's answers mean */
#ifndef RS_REDIS_FIND_PRIVATE_H
#define RS_REDIS_FIND_PRIVATE_H

#include "base/callback.h"
#include "base/parse.h"
#include "base/time_units.h"
#include "link/redis_finder.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct redis_reply;

#define REDIS_ASK_US (300 * MS_US) /* for which one of several is asked */
#define REDIS_HOST_SIZE 256        /* of a host's name, with its end */
#define REDIS_WHY_SIZE 512         /* of a sentence about it, with its end */

/* ---- redis_slots.c ---- */

/* The slot of a key: of what stands between its first braces, where there is something. */
int redis_slot(const char *key);

/* A node, as another names it. */
struct redis_node {
    char host[REDIS_HOST_SIZE]; /* a name or an address; a socket's path begins with "/" */
    int port;
    char tls_name[REDIS_HOST_SIZE]; /* that its certificate has; "": its host */
};

/* A host that a server has named (len bytes) into out, if it may be one: not empty, no path,
 * without blanks and control characters. */
bool redis_host_take(const char *host, size_t len, char out[static REDIS_HOST_SIZE]);

/* "host:port", "[host]:port", or a path. */
void redis_node_text(const struct redis_node *node, char text[static REDIS_NODE_TEXT]);

bool redis_node_same(const struct redis_node *a, const struct redis_node *b);

/* What CLUSTER SLOTS says. Where it names no host ("", "?" or nil) it means that which was asked.
 * Masters and replicas come into nodes, the slot's master first; no more than max. Returns how
 * many; 0: nobody serves the slot, or it cannot be read. */
int redis_slots_read(const struct redis_reply *reply, int slot, const struct redis_node *asked,
                     struct redis_node *nodes, int max);

/* Reads "MOVED 3999 host:port", an error's text: whose the slot is now. False: it is none. asked:
 * see redis_slots_read. */
bool redis_moved_read(const char *text, const struct redis_node *asked, struct redis_node *to);

/* ---- redis_turn.c ---- */

/* Who of several is asked next: the last good one first, each once a round. */
struct redis_turn {
    unsigned first; /* with whom a round begins */
    unsigned asked; /* of this round */
};

void redis_turn_begin(struct redis_turn *t);

/* Which of n is next; -1: all have been asked. */
int redis_turn_next(struct redis_turn *t, int n);

/* Who was asked last is to be the first again. */
void redis_turn_good(struct redis_turn *t);

/* What the first said has led nowhere: the next round begins with another. */
void redis_turn_doubt(struct redis_turn *t);

/* ---- redis_question.c ---- */

/* A connection on which one question at a time is asked; another is another connection. */
struct redis_question;

struct redis_question_events {
    /* Once for each question, never from inside redis_question_ask. reply NULL: there is none, why
     * says so. May ask again. */
    void (*on_answer)(void *arg, const struct redis_reply *reply, const char *why);
    /* With a channel: a message of it. */
    void (*on_message)(void *arg, const struct redis_reply *message);
    /* ... and that nobody listens any more, after an answer that was no error. */
    void (*on_deaf)(void *arg, const char *why);
    void *arg;
};

struct redis_question *redis_question_new(struct loop *loop, const char *ca_file,
                                          const struct redis_question_events *events);
void redis_question_free(struct redis_question *q); /* not inside its events; NULL is legal */

/* Ends what was asked before, without a word, and asks: within REDIS_ASK_US. What address and the
 * argc words, at most 3, point to must stay until then. channel: after an answer that is no
 * error the connection stays and listens; NULL: it is closed. */
void redis_question_ask(struct redis_question *q, const struct redis_address *address,
                        const char *tls_name, int argc, const char *const *argv,
                        const char *channel);

/* Ends it without a word. */
void redis_question_drop(struct redis_question *q);

/* ---- redis_sentinels.c ---- */

/* A finder, as the Sentinels know it. */
struct redis_asker {
    LIST_ENTRY(redis_asker) entry; /* while it is told of another master */
    bool listed, waits;
    /* Once, after redis_sentinels_ask. master NULL: why. found: who said so, a phrase. */
    void (*on_master)(void *arg, const struct redis_node *master, const char *found,
                      const char *why);
    /* The master is another one now: not while it waits. */
    void (*on_moved)(void *arg, const char *why);
    void *arg;
};

/* From now on it is told of another master too. */
void redis_sentinels_ask(struct redis_sentinels *s, struct redis_asker *asker);

/* on_master does not come any more. */
void redis_sentinels_cancel(struct redis_asker *asker);

/* Nothing comes any more. */
void redis_sentinels_leave(struct redis_sentinels *s, struct redis_asker *asker);

/* Whom they named was of no use. */
void redis_sentinels_doubt(struct redis_sentinels *s);

/* NULL, or the error with which the last one would not be listened to. */
const char *redis_sentinels_deaf(const struct redis_sentinels *s);

/* ---- redis_cluster.c ---- */

/* Who has a slot of a Cluster. */
struct redis_cluster;

/* on_node: once after each redis_cluster_ask. node NULL: why. found: who said so, a phrase. NULL:
 * out of memory. */
struct redis_cluster *redis_cluster_new(const struct redis_lookup *lookup, int slot,
                                        void (*on_node)(void *arg, const struct redis_node *node,
                                                        const char *found, const char *why),
                                        void *arg);
void redis_cluster_free(struct redis_cluster *c); /* NULL is legal */

/* url: what names the first nodes; it must stay as it is until it is answered or cancelled. */
void redis_cluster_ask(struct redis_cluster *c, const struct redis_url *url);

/* on_node does not come any more. */
void redis_cluster_cancel(struct redis_cluster *c);

/* Where the node is known: with the name that its certificate has, which MOVED does not say. */
void redis_cluster_recall(const struct redis_cluster *c, struct redis_node *node);

/* Whom it named was of no use. */
void redis_cluster_doubt(struct redis_cluster *c);

/* What is known of its nodes is of another URL's. */
void redis_cluster_forget(struct redis_cluster *c);

#endif
