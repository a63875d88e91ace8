/* POST /pause and POST /resume: one order to several queues. */
#ifndef RS_HTTP_PAUSE_H
#define RS_HTTP_PAUSE_H

#include "link/http.h"

struct queue_run;

/* What /pause may be given: queue, for, reason. */
extern const struct http_param http_pause_params[];

/* Each gives the order to each of the queues (1 at least) and answers the request, now or later;
 * 503 when one of them could not be given it. The queues must outlive that, or be closed before
 * HTTP is freed. */
void http_pause(struct http_request *request, struct queue_run *const *queues, int n);
void http_resume(struct http_request *request, struct queue_run *const *queues, int n);

#endif
