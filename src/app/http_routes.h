/* What the daemon answers over HTTP: probes, metrics, and POST for those with the token. */
#ifndef RS_HTTP_ROUTES_H
#define RS_HTTP_ROUTES_H

#include "base/callback.h"

#include <stddef.h>

struct config;
struct health;
struct http_routes;
struct secrets;
struct parts;

/* Listens at the configured address; all arguments must outlive it. NULL with one sentence in
 * `error`. */
struct http_routes *http_routes_new(struct parts *parts, struct health *health,
                                    struct secrets *secrets, char *error, size_t error_size);

/* Ends what POST started, after the step in hand; answers go on. done(arg) fires once, on a later
 * turn. */
void http_routes_stop(struct http_routes *r, event_cb *done, void *arg);

/* The sweep's queue must have been closed before. NULL is legal. */
void http_routes_free(struct http_routes *r);

#endif
