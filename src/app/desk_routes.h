/* GET /explain, GET /failures, POST /retry and POST /forget: what the modes of these names do, in
 * the running daemon. Queues are asked one after the other, over connections that there are only
 * meanwhile; a few requests at once, others are answered with 503. */
#ifndef RS_DESK_ROUTES_H
#define RS_DESK_ROUTES_H

#include "app/desk_list.h"
#include "link/http.h"

struct desk_routes;
struct queue_runs;

/* The parameters of the routes. */
extern const struct http_param desk_of_explain[], desk_of_failures[], desk_of_act[];

/* queues: as they are when a request comes. NULL: out of memory. */
struct desk_routes *desk_routes_new(const struct queue_runs *queues);

/* Each owes the request one reply, and gives it. */
void desk_routes_explain(struct desk_routes *r, struct http_request *request);
void desk_routes_failures(struct desk_routes *r, struct http_request *request);
void desk_routes_act(struct desk_routes *r, struct http_request *request, enum desk_act act);

/* The queues are about to go, or to change: what is under way is answered with 503, and what comes
 * until desk_routes_resume. */
void desk_routes_stop(struct desk_routes *r);
void desk_routes_resume(struct desk_routes *r);
void desk_routes_free(struct desk_routes *r); /* NULL is legal */

#endif
