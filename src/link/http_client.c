/* One question to a daemon on this host: for --healthcheck and --check-config. */
#include "link/http_client.h"

#include "base/time_units.h"
#include "link/loop.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_S 3
#define ANSWER_MAX 4096

struct http_client {
    struct evhttp_connection *connection;
    struct timer *limit; /* of the whole; or the turn on which nothing could be asked */
    bool answered;
    bool asked;
    void (*done)(void *arg, int status, const char *text);
    void *arg;
};

/* Where a daemon that listens there can be met. Of a name's addresses evhttp tries the first alone;
 * localhost's is often ::1, also on hosts without IPv6, where a daemon that listens on [::] serves
 * 127.0.0.1. */
static const char *reachable(const char *host)
{
    static const char *const here[] = {"", "0.0.0.0", "::", "localhost"};
    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
        if (strcmp(host, here[i]) == 0)
            return "127.0.0.1";
    return host;
}

static void finish(struct http_client *c, int status, const char *text)
{
    if (c->answered)
        return;
    c->answered = true;
    timer_clear(c->limit);
    c->done(c->arg, status, text);
}

static void on_answer(struct evhttp_request *request, void *arg)
{
    struct http_client *c = arg;
    int status = request != NULL ? evhttp_request_get_response_code(request) : 0;
    char body[ANSWER_MAX + 1];
    ev_ssize_t n = 0;
    if (status == 0) {
        finish(c, 0, "nobody answers");
        return;
    }
    n = evbuffer_copyout(evhttp_request_get_input_buffer(request), body, ANSWER_MAX);
    if (n > 0 && body[n - 1] == '\n')
        n--;
    body[n > 0 ? n : 0] = '\0';
    finish(c, status, body);
}

static void on_limit(void *arg)
{
    struct http_client *c = arg;
    finish(c, 0, c->asked ? "no answer within 3 s" : "out of memory or file descriptors");
}

/* The request belongs to the connection from here on, also when it fails. */
static bool ask(struct http_client *c, const char *path)
{
    struct evhttp_request *request = evhttp_request_new(on_answer, c);
    if (request == NULL)
        return false;
    (void)evhttp_add_header(evhttp_request_get_output_headers(request), "Host", "localhost");
    (void)evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
    return evhttp_make_request(c->connection, request, EVHTTP_REQ_GET, path) == 0;
}

struct http_client *http_client_get(struct loop *loop, const char *host, int port, const char *path,
                                    void (*done)(void *arg, int status, const char *text),
                                    void *arg)
{
    struct http_client *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->done = done;
    c->arg = arg;
    c->limit = timer_new(loop, on_limit, c);
    c->connection =
        evhttp_connection_base_new(loop_base(loop), NULL, reachable(host), (ev_uint16_t)port);
    if (c->limit == NULL || c->connection == NULL) {
        http_client_free(c);
        return NULL;
    }
    evhttp_connection_set_timeout(c->connection, LIMIT_S);
    evhttp_connection_set_max_body_size(c->connection, ANSWER_MAX);
    c->asked = ask(c, path);
    timer_after_us(c->limit, c->asked ? LIMIT_S * SECOND_US : 0);
    return c;
}

void http_client_free(struct http_client *c)
{
    if (c == NULL)
        return;
    c->answered = true; /* what evhttp says of its end is not for the owner */
    if (c->connection != NULL)
        evhttp_connection_free(c->connection);
    timer_free(c->limit);
    free(c);
}
