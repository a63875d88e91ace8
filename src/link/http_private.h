/* What the parts of the HTTP server share: http.c (routes, replies), http_query.c
 * (parameters), http_error.c (errors), http_slots.c (its connections and their limits),
 * http_listen.c (its sockets), http_host.c (what a loopback address is called),
 * http_token.c (who may ask what). */
#ifndef RS_HTTP_PRIVATE_H
#define RS_HTTP_PRIVATE_H

#include "link/http.h"

#include <stdint.h>
#include <sys/queue.h>

#define HTTP_LISTENERS_MAX 8

struct bufferevent;
struct evconnlistener;
struct event;
struct event_base;
struct evhttp;
struct evhttp_request;

/* One connection. evhttp says nothing of those whose request is not complete, so the slot holds a
 * reference to the bufferevent: it outlives evhttp's use of it, and with it the descriptor, so that
 * shutting the socket down can never hit another one. */
struct http_slot {
    TAILQ_ENTRY(http_slot) entry;
    struct bufferevent *bev;
    int64_t deadline_us; /* monotonic; INT64_MAX while the request is ours to answer */
    bool cut;            /* shut down by us; evhttp will notice */
    bool ours;           /* the answer is, not evhttp's */
    struct http_request *request;
};

TAILQ_HEAD(http_slot_list, http_slot);

struct http {
    struct loop *loop;
    struct evhttp *evhttp;
    struct http_options options;
    struct evconnlistener *listeners[HTTP_LISTENERS_MAX]; /* owned by evhttp */
    int nlisteners;
    bool only_here;              /* all of them are on loopback */
    struct http_slot_list slots; /* oldest first */
    int nslots, ncut;
    int naccepted;         /* since the last tick */
    struct timer *refused; /* runs for a minute after a record about requests without a token */
    uint64_t nrefused;     /* of these, since that record */
    const char *refused_path;
    char refused_address[64]; /* of the last one */
    struct event *tick;       /* ends what takes too long, forgets what has ended; low priority */
};

/* What was given of a route's parameters, each by its place among them. */
struct http_given {
    unsigned seen, on;            /* bit i: that it was given; that it was true */
    char *texts[HTTP_PARAMS_MAX]; /* NULL: was not given, or is no text */
};

struct http_request {
    struct evhttp_request *evreq; /* NULL: the client is gone */
    struct http_slot *slot;
    const struct http_route *route;
    struct http_given given;
};

/* Reads a query string (NULL: there is none) of which the parameters may be part (NULL: none may),
 * each once. Returns 0, or -1 with one sentence in *error, malloc'd, that names the parameter, what
 * it was given and what is allowed; NULL when memory ran out. *given is to be cleared in both
 * cases. */
int http_query_read(const char *query, const struct http_param *params, struct http_given *given,
                    char **error) __attribute__((warn_unused_result));
void http_given_clear(struct http_given *given);

/* {"error": message} and a newline, malloc'd, with its length; NULL: out of memory. */
char *http_error_body(const char *message, size_t *len);

/* From now on what evhttp answers of itself on this connection is JSON too. */
void http_error_watch(struct http_slot *slot);

/* evhttp's callback for a new connection: gives it a slot, if need be at the cost of another. */
struct bufferevent *http_slot_open(struct event_base *base, void *arg);

/* The slot of a connection; NULL: there is none. */
struct http_slot *http_slot_find(struct http *h, const struct bufferevent *bev);

/* Makes the tick and lets it run. Returns 0, or -1: out of memory. */
int http_slots_start(struct http *h) __attribute__((warn_unused_result));

/* A connection has ended: its descriptor is given back on a later turn. */
void http_slots_ended(struct http *h);

/* Gives back all slots, and the tick. evhttp must have been freed before. */
void http_slots_free(struct http *h);

/* Whether a Host header names this host as what listens on loopback is called: localhost,
 * 127.0.0.1, [::1] or what it was told to listen on, with any port (that of a tunnel, say) or none.
 * Another name may be a foreign site's, which it has made to lead here (DNS rebinding): a browser
 * would let that site read what is answered. */
bool http_host_is_here(const char *header, const char *listening);

/* Makes what http_token_refused needs. Returns 0, or -1: out of memory. */
int http_token_start(struct http *h) __attribute__((warn_unused_result));

enum http_right { HTTP_MAY, HTTP_MAY_NOT /* 401 */, HTTP_NOBODY_MAY /* 403: no token is set */ };

/* Whether a request with its token may have what this route answers. */
enum http_right http_right(const struct http *h, const struct http_route *route,
                           const struct http_request *r);

/* Counts a request that HTTP_MAY_NOT; says so at WARN at once, and what followed once a minute. */
void http_token_refused(struct http *h, const struct http_route *route,
                        const struct http_request *r);

/* Binds and listens. Returns 0, or -1 with one sentence in `error`. */
int http_listen(struct http *h, char *error, size_t error_size) __attribute__((warn_unused_result));

#endif
