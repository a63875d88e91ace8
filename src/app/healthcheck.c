/* --healthcheck: asks the daemon's own /readyz on this host. For a container's HEALTHCHECK. */
#include "config.h"
#include "log.h"
#include "loop.h"
#include "modes.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <string.h>

#define LIMIT_US (3 * 1000000)
#define ANSWER_MAX 4096

struct healthcheck {
    struct loop *loop;
    bool healthy;
    char error[256]; /* "" when there is an answer */
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

static void on_answer(struct evhttp_request *request, void *arg)
{
    struct healthcheck *c = arg;
    int status = request != NULL ? evhttp_request_get_response_code(request) : 0;
    loop_stop(c->loop);
    if (status == 0) {
        snprintf(c->error, sizeof(c->error), "nobody answers");
        return;
    }
    char body[ANSWER_MAX];
    ev_ssize_t n = evbuffer_copyout(evhttp_request_get_input_buffer(request), body, sizeof(body));
    if (n > 0 && body[n - 1] == '\n')
        n--;
    printf("%.*s\n", n > 0 ? (int)n : 0, body);
    c->healthy = status == 200;
    c->error[0] = '\0';
    if (!c->healthy)
        snprintf(c->error, sizeof(c->error), "/readyz answers %d", status);
}

static void on_limit(void *arg)
{
    struct healthcheck *c = arg;
    snprintf(c->error, sizeof(c->error), "no answer within 3 s");
    loop_stop(c->loop);
}

/* Runs to the answer or the limit. */
static void ask(struct healthcheck *c, const char *host, int port)
{
    struct timer *limit = timer_new(c->loop, on_limit, c);
    struct evhttp_connection *connection =
        evhttp_connection_base_new(loop_base(c->loop), NULL, host, (ev_uint16_t)port);
    struct evhttp_request *request = evhttp_request_new(on_answer, c);
    if (limit == NULL || connection == NULL || request == NULL) {
        if (request != NULL)
            evhttp_request_free(request);
    } else {
        evhttp_connection_set_timeout(connection, LIMIT_US / 1000000);
        evhttp_connection_set_max_body_size(connection, ANSWER_MAX);
        (void)evhttp_add_header(evhttp_request_get_output_headers(request), "Host", "localhost");
        (void)evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
        timer_after_us(limit, LIMIT_US);
        if (evhttp_make_request(connection, request, EVHTTP_REQ_GET, "/readyz") == 0 &&
            loop_run(c->loop) != 0)
            snprintf(c->error, sizeof(c->error), "the event loop failed");
    }
    if (connection != NULL)
        evhttp_connection_free(connection);
    timer_free(limit);
}

int healthcheck_run(const struct config *config)
{
    struct healthcheck c = {.error = "out of memory or file descriptors"};
    if (config->http_host == NULL) {
        snprintf(c.error, sizeof(c.error), "SWEEPER_HTTP_LISTEN is empty: the daemon has no HTTP");
    } else {
        c.loop = loop_new();
        if (c.loop != NULL)
            ask(&c, reachable(config->http_host), config->http_port);
        loop_free(c.loop);
    }
    if (!c.healthy)
        log_event(LOG_ERROR, "The daemon is not healthy", LOG_STR, "error", c.error, LOG_END);
    return c.healthy ? EXIT_DONE : EXIT_FAILED;
}
