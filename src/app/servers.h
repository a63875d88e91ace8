/* The servers of all queues, and the loop that they are talked to on: where Redis is found, a
 * connection to it for each queue, since each has its slot of a Cluster, and for each Postgres
 * where it is, as the secrets say it now. */
#ifndef RS_SERVERS_H
#define RS_SERVERS_H

#include "health/clock_watch.h"
#include "link/pg_link.h"
#include "link/redis_finder.h"
#include "link/redis_link.h"

#include <sys/queue.h>

struct config;
struct loop;
struct pg_outage;
struct queue;
struct secrets;

/* A Postgres that queues are in. */
struct database {
    struct database *next;
    const struct config *config; /* of the queue that named it first; borrowed */
    const char *name;            /* as in the queues file; NULL: that of DATABASE_URL */
    int users;
    struct secrets *secrets;  /* that say where it is */
    char *address;            /* ... for logs */
    struct pg_home home;      /* at which server its links are */
    struct pg_outage *outage; /* NULL: nobody watches */
    struct clock_watch clock;
};

/* The connection of one queue to Redis. */
struct queue_redis {
    LIST_ENTRY(queue_redis) entry;
    struct redis_finder *finder; /* where it leads to */
    struct redis_link *link;     /* not started */
};

struct log_name;

struct servers {
    const struct config *config;
    struct loop *loop;
    struct secrets *secrets;
    struct redis_sentinels *sentinels; /* asked where the URL names them */
    LIST_HEAD(, queue_redis) redis;
    char *redis_address; /* for logs: as the secrets say it now */
    struct clock_watch redis_clock;
    struct database *databases;
    struct log_name *log_names;
};

typedef void redis_state_cb(void *arg, enum redis_state state, const char *reason);

/* Returns 0, or -1: out of memory; to be closed in both cases. */
int servers_open(struct servers *s, const struct config *config)
    __attribute__((warn_unused_result));

/* Frees everything; users of the loop, of Redis and of the databases must have been freed before.
 */
void servers_close(struct servers *s);

/* A connection for the queue whose keys have this prefix. on_state: the link's. NULL: out of
 * memory.
 */
struct queue_redis *servers_redis_open(struct servers *s, const char *prefix,
                                       redis_state_cb *on_state, void *arg);
void servers_redis_close(struct queue_redis *r); /* NULL is legal */

/* The database of a queue, whose settings these are; the same for all queues that name the same.
 * The settings must outlive it. watch: outages of it are said. NULL: out of memory. */
struct database *servers_database(struct servers *s, const struct config *config, bool watch);

/* One who asked for it is done with it, and has no links to it any more: it ends with its last
 * user, or with servers_close. */
void servers_release(struct servers *s, struct database *d);

/* A queue's name for log_set_queue, good until servers_close: who remembers it may outlive the
 * queue. NULL: out of memory. */
const char *servers_log_name(struct servers *s, const char *name);

/* A queue has left: outages that were its own are over. */
void servers_judge(struct servers *s);

/* For links to it: whatever is sent over them is sent with the queue's settings. NULL: of no queue.
 */
struct pg_source database_source(struct database *d, const struct queue *queue);

/* Reads the secrets' files anew. */
void servers_reload(struct servers *s);

#endif
