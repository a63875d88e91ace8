/* Who may ask what: the tokens of the HTTP server, and what is said of those who have none. */
#include "link/http_private.h"

#include "base/log.h"
#include "base/time_units.h"
#include "link/loop.h"

#include <event2/http.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SAID_AGAIN_US MINUTE_US

/* The work depends on what the client sent, not on where it differs from the token. */
static bool matches(const char *token, const char *given)
{
    size_t token_len = strlen(token), len = strlen(given);
    unsigned char differs = token_len != len;
    for (size_t i = 0; i < len; i++)
        differs |= (unsigned char)(given[i] ^ token[i % token_len]);
    return differs == 0;
}

const char *http_peer(const struct http_request *r)
{
    char *address = NULL;
    ev_uint16_t port;
    if (r->evreq != NULL)
        evhttp_connection_get_peer(evhttp_request_get_connection(r->evreq), &address, &port);
    return address != NULL ? address : "";
}

/* What a request brings as its token; NULL: none. */
static const char *bearer(const struct http_request *r)
{
    static const char scheme[] = "Bearer ";
    const char *value =
        evhttp_find_header(evhttp_request_get_input_headers(r->evreq), "Authorization");
    if (value == NULL || strncasecmp(value, scheme, sizeof(scheme) - 1) != 0)
        return NULL;
    value += sizeof(scheme) - 1;
    return value + strspn(value, " ");
}

/* A token is read anew, perhaps from a file, and is good until another one is: one at a time. */
static bool is_admin(const struct http *h, const char *given)
{
    const char *token = h->options.token(h->options.arg);
    return token != NULL && given != NULL && matches(token, given);
}

enum http_right http_right(const struct http *h, const struct http_route *route,
                           const struct http_request *r)
{
    const char *given = bearer(r);
    const char *token;
    if (route->access == HTTP_OPEN)
        return HTTP_MAY;
    if (route->access == HTTP_CHANGES) {
        if (h->options.token(h->options.arg) == NULL)
            return HTTP_NOBODY_MAY;
        return is_admin(h, given) ? HTTP_MAY : HTTP_MAY_NOT;
    }
    token = h->options.read_token(h->options.arg);
    if (token == NULL || (given != NULL && matches(token, given)))
        return HTTP_MAY;
    return is_admin(h, given) ? HTTP_MAY : HTTP_MAY_NOT;
}

static void say(struct http *h, const char *path, const char *address)
{
    log_event(LOG_WARN, "Requests over HTTP had no valid token", LOG_INT, "count",
              (int64_t)h->nrefused, LOG_STR, "path", path, LOG_STR, "address", address, LOG_END);
    h->nrefused = 0;
    timer_after_us(h->refused, SAID_AGAIN_US);
}

/* A minute after a record: those that came meanwhile. */
static void on_refused(void *arg)
{
    struct http *h = arg;
    if (h->nrefused > 0)
        say(h, h->refused_path, h->refused_address);
}

int http_token_start(struct http *h)
{
    h->refused = timer_new(h->loop, on_refused, h);
    return h->refused != NULL ? 0 : -1;
}

void http_token_refused(struct http *h, const struct http_route *route,
                        const struct http_request *r)
{
    h->nrefused++;
    h->refused_path = route->path;
    (void)snprintf(h->refused_address, sizeof(h->refused_address), "%s", http_peer(r));
    if (!timer_armed(h->refused))
        say(h, h->refused_path, h->refused_address);
}
