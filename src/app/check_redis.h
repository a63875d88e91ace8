/* The part of --check-config that looks at Redis. */
#ifndef RS_CHECK_REDIS_H
#define RS_CHECK_REDIS_H

struct check_report;
struct context;

struct check_redis {
    struct context *context;
    struct check_report *report;
};

/* The link is up: looks at the server, and asks it for all that the sweeper asks; then the part is
 * done. To be called again after a connection that was lost before. */
void check_redis_begin(struct check_redis *r);

#endif
