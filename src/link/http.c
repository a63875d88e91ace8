/* The HTTP server, on evhttp: routes, replies. */
#include "link/http_private.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "link/loop.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADERS_MAX 8192
#define BODY_MAX 4096
#define TIMEOUT_S 5 /* of silence; the slot's deadline ends those that send a byte now and then */

static void add_header(struct http_request *r, const char *name, const char *value)
{
    if (r->evreq != NULL)
        (void)evhttp_add_header(evhttp_request_get_output_headers(r->evreq), name, value);
}

/* Nothing here is shown within another site, nor told where it is from; a page gets all it needs
 * from here, in files of their own, and makes nothing but text of what it is told. */
static void add_security_headers(struct http_request *r)
{
    add_header(r, "X-Content-Type-Options", "nosniff");
    add_header(r, "X-Frame-Options", "DENY");
    add_header(r, "Referrer-Policy", "no-referrer");
    add_header(r, "Cross-Origin-Opener-Policy", "same-origin");
    add_header(r, "Cross-Origin-Resource-Policy", "same-origin");
    add_header(r, "Content-Security-Policy",
               "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
               "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
               "require-trusted-types-for 'script'; trusted-types 'none'");
}

void http_reply(struct http_request *r, int status, const char *content_type, const char *body,
                size_t len)
{
    struct evhttp_request *evreq = r->evreq;
    if (evreq != NULL) {
        struct evbuffer *buffer = evbuffer_new();
        char length[24];
        snprintf(length, sizeof(length), "%zu", len);
        add_header(r, "Content-Type", content_type != NULL ? content_type : "application/json");
        add_header(r, "Content-Length", length);
        add_header(r, "Cache-Control", "no-store");
        add_security_headers(r);
        add_header(r, "Connection", "close"); /* the limits count connections */
        if (buffer != NULL && evhttp_request_get_command(evreq) != EVHTTP_REQ_HEAD)
            (void)evbuffer_add(buffer, body, len);
        r->slot->ours = true;
        r->slot->request = NULL;
        r->slot->deadline_us = clock_mono_us() + TIMEOUT_S * SECOND_US;
        evhttp_send_reply(evreq, status, NULL, buffer);
        if (buffer != NULL)
            evbuffer_free(buffer);
    }
    http_given_clear(&r->given);
    free(r);
}

void http_reply_error(struct http_request *r, int status, const char *message)
{
    static const char no_memory[] = "{\"error\":\"out of memory\"}\n";
    size_t len = 0;
    char *body = http_error_body(message, &len);
    if (body != NULL)
        http_reply(r, status, NULL, body, len);
    else
        http_reply(r, 503, NULL, no_memory, sizeof(no_memory) - 1);
    free(body);
}

static void on_connection_gone(struct evhttp_connection *connection, void *arg)
{
    struct http *h = arg;
    struct http_slot *slot = http_slot_find(h, evhttp_connection_get_bufferevent(connection));
    if (slot != NULL && slot->request != NULL) {
        slot->request->evreq = NULL;
        slot->request = NULL;
    }
    http_slots_ended(h);
}

/* The place of a parameter that the route has. */
static size_t param_place(const struct http_request *r, const char *name)
{
    size_t i = 0;
    while (strcmp(r->route->params[i].name, name) != 0)
        i++;
    return i;
}

bool http_switch_on(const struct http_request *r, const char *name)
{
    return (r->given.on & (1U << param_place(r, name))) != 0;
}

const char *http_text(const struct http_request *r, const char *name)
{
    return r->given.texts[param_place(r, name)];
}

/* What belongs in the query string and stands in the body (curl's --data) must not be passed by: a
 * dry run would do the work. */
static bool has_form(struct evhttp_request *evreq)
{
    static const char form[] = "application/x-www-form-urlencoded";
    const char *type = evhttp_find_header(evhttp_request_get_input_headers(evreq), "Content-Type");
    return type != NULL && strncasecmp(type, form, sizeof(form) - 1) == 0 &&
           evbuffer_get_length(evhttp_request_get_input_buffer(evreq)) > 0;
}

/* The route's own work, once what was asked for has been read. */
static void handle(struct http *h, const struct http_route *route, struct http_request *r)
{
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(r->evreq));
    char *error = NULL;
    r->route = route;
    if (has_form(r->evreq)) {
        http_reply_error(r, 400, "parameters belong in the query string, not in the body");
    } else if (http_query_read(query, route->params, &r->given, &error) != 0) {
        http_reply_error(r, 400, error != NULL ? error : "the query string cannot be read");
        free(error);
    } else {
        route->handle(h->options.arg, r);
    }
}

static void dispatch(struct http *h, const struct http_route *route, struct http_request *r)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(r->evreq);
    bool allowed = route->access == HTTP_CHANGES
                       ? method == EVHTTP_REQ_POST
                       : method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;
    enum http_right right = allowed ? http_right(h, route, r) : HTTP_MAY_NOT;
    if (!allowed) {
        add_header(r, "Allow", route->access == HTTP_CHANGES ? "POST" : "GET, HEAD");
        http_reply_error(r, 405, "this method is not allowed here");
    } else if (right == HTTP_NOBODY_MAY) {
        http_reply_error(r, 403, "no SWEEPER_ADMIN_TOKEN is set: nothing can be changed over HTTP");
    } else if (right == HTTP_MAY_NOT) {
        http_token_refused(h, route, r);
        add_header(r, "WWW-Authenticate", "Bearer");
        http_reply_error(r, 401, "the bearer token is missing or wrong");
    } else {
        handle(h, route, r);
    }
}

static void on_request(struct evhttp_request *evreq, void *arg)
{
    struct http *h = arg;
    struct evhttp_connection *connection = evhttp_request_get_connection(evreq);
    struct http_slot *slot = http_slot_find(h, evhttp_connection_get_bufferevent(connection));
    struct http_request *r = calloc(1, sizeof(*r));
    if (r == NULL || slot == NULL) { /* out of memory, now or when it was accepted */
        free(r);
        evhttp_send_error(evreq, HTTP_SERVUNAVAIL, NULL);
        return;
    }
    r->evreq = evreq;
    r->slot = slot;
    slot->request = r;
    slot->deadline_us = INT64_MAX;
    evhttp_connection_set_closecb(connection, on_connection_gone, h);
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(evreq));
    const char *host = evhttp_find_header(evhttp_request_get_input_headers(evreq), "Host");
    if (h->only_here && host != NULL && !http_host_is_here(host, h->options.host)) {
        http_reply_error(r, 421,
                         "this daemon listens on loopback alone, and answers to Host: localhost, "
                         "127.0.0.1 or [::1] only");
        return;
    }
    for (size_t i = 0; i < h->options.nroutes && path != NULL; i++) {
        if (strcmp(h->options.routes[i].path, path) == 0) {
            dispatch(h, &h->options.routes[i], r);
            return;
        }
    }
    http_reply_error(r, 404, "there is nothing at this path");
}

struct http *http_new(struct loop *loop, const struct http_options *options, char *error,
                      size_t error_size)
{
    struct http *h = calloc(1, sizeof(*h));
    snprintf(error, error_size, "out of memory");
    if (h == NULL)
        return NULL;
    h->loop = loop;
    h->options = *options;
    TAILQ_INIT(&h->slots);
    h->evhttp = evhttp_new(loop_base(loop));
    if (h->evhttp == NULL || http_slots_start(h) != 0 || http_token_start(h) != 0 ||
        http_listen(h, error, error_size) != 0) {
        http_free(h);
        return NULL;
    }
    evhttp_set_bevcb(h->evhttp, http_slot_open, h);
    evhttp_set_gencb(h->evhttp, on_request, h);
    evhttp_set_max_headers_size(h->evhttp, HEADERS_MAX);
    evhttp_set_max_body_size(h->evhttp, BODY_MAX);
    evhttp_set_timeout(h->evhttp, TIMEOUT_S);
    (void)evhttp_set_flags(h->evhttp, EVHTTP_SERVER_LINGERING_CLOSE);
    /* All, so that the answer to a wrong one is ours: 405 with Allow. */
    evhttp_set_allowed_methods(h->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                                              EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                              EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
                                              EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
    return h;
}

bool http_only_here(const struct http *h)
{
    return h->only_here;
}

void http_free(struct http *h)
{
    if (h == NULL)
        return;
    if (h->evhttp != NULL)
        evhttp_free(h->evhttp); /* closes the connections, which calls on_connection_gone */
    http_slots_free(h);
    timer_free(h->refused);
    free(h);
}
