/* The part of --check-config that looks at the daemon's HTTP address. */
#ifndef RS_CHECK_HTTP_H
#define RS_CHECK_HTTP_H

struct check_report;
struct config;
struct http_client;
struct loop;

struct check_http {
    const struct config *config;
    struct loop *loop;
    struct check_report *report;
    struct http_client *neighbour; /* asks who has the address */
    char address[280];             /* as SWEEPER_HTTP_LISTEN has it; of check_http_begin */
};

/* Can the daemon listen there? Says so, now or on a later turn, and reports the part done. */
void check_http_begin(struct check_http *h);

/* Ends what is under way; what was begun may never have been. */
void check_http_clear(struct check_http *h);

#endif
