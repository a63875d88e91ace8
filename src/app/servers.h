/* The servers of all queues, and the loop that they are talked to on: one connection to Redis, and
 * for each Postgres where it is, as the secrets say it now. */
#ifndef RS_SERVERS_H
#define RS_SERVERS_H

#include "health/clock_watch.h"
#include "link/pg_link.h"
#include "link/redis_link.h"

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

struct log_name;

struct servers {
    const struct config *config;
    struct loop *loop;
    struct secrets *secrets;
    struct redis_link *redis; /* not started */
    char *redis_address;      /* for logs: as the secrets say it now */
    struct clock_watch redis_clock;
    struct database *databases;
    struct log_name *log_names;
};

/* on_redis: the Redis link's on_state. Returns 0, or -1: out of memory; to be closed in both cases.
 */
int servers_open(struct servers *s, const struct config *config,
                 void (*on_redis)(void *arg, enum redis_state state, const char *reason), void *arg)
    __attribute__((warn_unused_result));

/* Frees everything; users of the loop and of the databases must have been freed before. */
void servers_close(struct servers *s);

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

/* NULL, or one sentence on why this Redis cannot be used (a Cluster). Requires that it is up. */
const char *servers_redis_unusable(const struct servers *s);

#endif
