/* The HTTP server, on evhttp: routes, token, replies. */
#include "http_private.h"

#include "clock.h"
#include "loop.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADERS_MAX 8192
#define BODY_MAX 4096
#define TIMEOUT_S 5 /* of silence; the slot's deadline ends those that send a byte now and then */

/* The work depends on what the client sent, not on where it differs from the token. */
static bool token_matches(const char *token, const char *given)
{
    size_t token_len = strlen(token), len = strlen(given);
    unsigned char differs = token_len != len;
    for (size_t i = 0; i < len; i++)
        differs |= (unsigned char)(given[i] ^ token[i % token_len]);
    return differs == 0;
}

static bool authorized(const char *token, struct evhttp_request *evreq)
{
    static const char scheme[] = "Bearer ";
    const char *value =
        evhttp_find_header(evhttp_request_get_input_headers(evreq), "Authorization");
    if (value == NULL || strncasecmp(value, scheme, sizeof(scheme) - 1) != 0)
        return false;
    value += sizeof(scheme) - 1;
    return token_matches(token, value + strspn(value, " "));
}

static void add_header(struct http_request *r, const char *name, const char *value)
{
    if (r->evreq != NULL)
        (void)evhttp_add_header(evhttp_request_get_output_headers(r->evreq), name, value);
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
        add_header(r, "X-Content-Type-Options", "nosniff");
        add_header(r, "Connection", "close"); /* the limits count connections */
        if (buffer != NULL && evhttp_request_get_command(evreq) != EVHTTP_REQ_HEAD)
            (void)evbuffer_add(buffer, body, len);
        r->slot->request = NULL;
        r->slot->deadline_us = clock_mono_us() + (int64_t)TIMEOUT_S * 1000000;
        evhttp_send_reply(evreq, status, NULL, buffer);
        if (buffer != NULL)
            evbuffer_free(buffer);
    }
    free(r);
}

void http_reply_error(struct http_request *r, int status, const char *message)
{
    /* Messages are ours or a server's: what JSON cannot hold as it is becomes a blank. */
    char text[512];
    size_t n = 0;
    for (const char *c = message; *c != '\0' && n < sizeof(text) - 1; c++)
        text[n++] = (unsigned char)*c < 0x20 || *c == '"' || *c == '\\' ? ' ' : *c;
    text[n] = '\0';
    char body[sizeof(text) + 32];
    int len = snprintf(body, sizeof(body), "{\"error\":\"%s\"}\n", text);
    http_reply(r, status, NULL, body, (size_t)len);
}

static const struct http_switch *find_switch(const struct http_switch *switches, size_t n,
                                             const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(switches[i].name, name) == 0)
            return &switches[i];
    return NULL;
}

int http_query_read(const struct http_request *r, const struct http_switch *switches,
                    size_t nswitches, char *error, size_t error_size)
{
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(r->evreq));
    struct evkeyvalq pairs;
    struct evkeyval *pair;
    int rc = 0;
    if (query == NULL || *query == '\0')
        return 0;
    if (evhttp_parse_query_str(query, &pairs) != 0) {
        snprintf(error, error_size, "the query string cannot be read");
        return -1;
    }
    TAILQ_FOREACH(pair, &pairs, next)
    {
        const struct http_switch *s = find_switch(switches, nswitches, pair->key);
        bool yes = strcmp(pair->value, "true") == 0;
        if (s == NULL || (!yes && strcmp(pair->value, "false") != 0)) {
            snprintf(error, error_size, "%s",
                     s == NULL ? "unknown parameter in the query string"
                               : "only true and false are allowed");
            rc = -1;
            break;
        }
        *s->value = yes;
    }
    evhttp_clear_headers(&pairs);
    return rc;
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

static void dispatch(struct http *h, const struct http_route *route, struct http_request *r)
{
    enum evhttp_cmd_type method = evhttp_request_get_command(r->evreq);
    bool allowed = route->changes ? method == EVHTTP_REQ_POST
                                  : method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;
    const char *token = allowed && route->changes ? h->options.token(h->options.arg) : NULL;
    if (!allowed) {
        add_header(r, "Allow", route->changes ? "POST" : "GET, HEAD");
        http_reply_error(r, 405, "this method is not allowed here");
    } else if (route->changes && token == NULL) {
        http_reply_error(r, 403, "no SWEEPER_ADMIN_TOKEN is set: nothing can be changed over HTTP");
    } else if (route->changes && !authorized(token, r->evreq)) {
        add_header(r, "WWW-Authenticate", "Bearer");
        http_reply_error(r, 401, "the bearer token is missing or wrong");
    } else {
        route->handle(h->options.arg, r);
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
    if (h->evhttp == NULL || http_slots_start(h) != 0 || http_listen(h, error, error_size) != 0) {
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

void http_free(struct http *h)
{
    if (h == NULL)
        return;
    if (h->evhttp != NULL)
        evhttp_free(h->evhttp); /* closes the connections, which calls on_connection_gone */
    http_slots_free(h);
    free(h);
}
