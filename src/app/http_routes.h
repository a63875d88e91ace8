/* What the daemon answers over HTTP: probes, metrics, and POST for those with the token. */
#ifndef RS_HTTP_ROUTES_H
#define RS_HTTP_ROUTES_H

#include "base/callback.h"

#include <stdbool.h>
#include <stddef.h>

struct config;
struct http_routes;
struct loop;
struct queue_runs;
struct reloaded;
struct secrets;

struct http_routes_options {
    struct loop *loop;
    const struct config *config;
    const struct queue_runs *queues; /* as they are when a request comes */
    struct secrets *secrets;
    const struct reloaded *reloaded;
};

/* Listens at the configured address; all that options names must outlive it. NULL with one sentence
 * in `error`. */
struct http_routes *http_routes_new(const struct http_routes_options *options, char *error,
                                    size_t error_size);

/* Whether this host alone can reach it. */
bool http_routes_only_here(const struct http_routes *r);

/* Ends what POST started, after the step in hand; answers go on. done(arg) fires once, on a later
 * turn. */
void http_routes_stop(struct http_routes *r, event_cb *done, void *arg);

/* Takes orders again after that. */
void http_routes_resume(struct http_routes *r);

/* The queues must have been closed before. NULL is legal. */
void http_routes_free(struct http_routes *r);

#endif
