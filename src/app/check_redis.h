/* The part of --check-config that looks at Redis. */
#ifndef RS_CHECK_REDIS_H
#define RS_CHECK_REDIS_H

struct check_report;
struct context;

struct check_redis {
    struct context *context;
    struct check_report *report;
};

/* The link is up: says what the server is like, as far as the link knows; CHECK_REDIS is done.
 */
void check_redis_server(struct check_redis *r);

/* ... and asks it for all that the sweeper asks of the queue's keys; then CHECK_KEYS is done. To be
 * called again after a connection that was lost before. */
void check_redis_keys(struct check_redis *r);

#endif
