/* What routes share: the queues that a request is about, and answers of JSON. */
#ifndef RS_HTTP_ASKED_H
#define RS_HTTP_ASKED_H

#include <stdbool.h>
#include <stddef.h>

struct http_request;
struct queue_run;
struct queue_runs;

#define HTTP_QUEUE "queue" /* the parameter that names one */

/* Some of those that there are, one behind the other. */
struct http_asked {
    struct queue_run *const *queues;
    int n;
};

/* Those that a request is about, whose route has the parameter HTTP_QUEUE: that one, or all. False:
 * there is no such queue, which has been answered. */
bool http_asked_for(const struct queue_runs *all, struct http_request *request,
                    struct http_asked *asked);

/* Answers with a text, which it takes over; NULL: out of memory. */
void http_reply_text(struct http_request *request, int status, const char *type, char *text,
                     size_t len);

/* The same of JSON, as a line. */
void http_reply_json(struct http_request *request, int status, char *text);

#endif
