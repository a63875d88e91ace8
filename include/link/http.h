/* The HTTP server: routes, token, limits. Small answers to few clients; a flood of them, or clients
 * that never finish a request, cost neither the sweep nor the next question more than a moment.
 *
 * Every connection serves one request. It must arrive within 5 s and fit in 8 KiB of headers and
 * 4 KiB of body; at 128 connections the oldest that has not sent its request makes room. */
#ifndef RS_HTTP_H
#define RS_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct http;
struct http_request;
struct loop;

#define HTTP_PARAMS_MAX 8

/* A parameter of the query string. */
struct http_param {
    const char *name;
    bool text; /* any text but an empty one; else true or false */
};

/* What a route is for, and who may have it. */
enum http_access {
    HTTP_READS,   /* GET and HEAD; with either token, if there is one to read */
    HTTP_CHANGES, /* POST, with the token */
    HTTP_OPEN,    /* GET and HEAD, whatever is set */
};

struct http_route {
    const char *path;
    enum http_access access;
    /* Up to one without a name, HTTP_PARAMS_MAX at most; NULL: there are none. What is none of
     * these, given twice or not as it may be is answered with 400 (a misspelt dryRun must not do
     * the work).
     */
    const struct http_param *params;
    /* Owes the request one http_reply, now or later. */
    void (*handle)(void *arg, struct http_request *request);
};

struct http_options {
    const char *host; /* "": all addresses; a name is resolved here, which may block */
    int port;
    /* The token, asked for with each request that needs it; NULL: what changes something answers
     * 403. Good until it is asked again. */
    const char *(*token)(void *arg);
    /* In the same way: who reads needs this one or the other; NULL: reading is open. */
    const char *(*read_token)(void *arg);
    const struct http_route *routes; /* must outlive the server */
    size_t nroutes;
    void *arg; /* for the handlers and the tokens */
};

/* Listens at once; answers when the loop runs. NULL with one sentence in `error`. */
struct http *http_new(struct loop *loop, const struct http_options *options, char *error,
                      size_t error_size);

/* Whether this host alone can reach it. */
bool http_only_here(const struct http *h);

/* Closes all connections. Requests without a reply stay valid until they get one. Not allowed
 * inside a handler; NULL is legal. */
void http_free(struct http *h);

/* Answers and frees the request. The body is copied; JSON unless content_type says otherwise (NULL:
 * JSON). A client that has gone away is no error. */
void http_reply(struct http_request *request, int status, const char *content_type,
                const char *body, size_t len);

/* {"error": message}, whole, whatever bytes it has. */
void http_reply_error(struct http_request *request, int status, const char *message);

/* The address that the request came from; "" when the client has gone away. Good until the answer.
 */
const char *http_peer(const struct http_request *request);

/* Whether a parameter of the request's route that is no text is on: ?name=true. Without it, or with
 * ?name=false, it is off. */
bool http_switch_on(const struct http_request *request, const char *name);

/* What a parameter that is a text was given; NULL: it was not. Good until the request's answer. */
const char *http_text(const struct http_request *request, const char *name);

#endif
