/* --healthcheck: asks the daemon's own /readyz on this host. For a container's HEALTHCHECK. */
#include "app/modes.h"
#include "base/log.h"
#include "config/config.h"
#include "link/http_client.h"
#include "link/loop.h"

#include <stdio.h>

struct healthcheck {
    struct loop *loop;
    bool healthy;
    char error[256]; /* "" when it is healthy */
};

static void on_answer(void *arg, int status, const char *text)
{
    struct healthcheck *c = arg;
    loop_stop(c->loop);
    c->healthy = status == 200;
    c->error[0] = '\0';
    if (status != 0)
        printf("%s\n", text);
    if (status == 0)
        snprintf(c->error, sizeof(c->error), "%s", text);
    else if (!c->healthy)
        snprintf(c->error, sizeof(c->error), "/readyz answers %d", status);
}

/* Runs to the answer. */
static void ask(struct healthcheck *c, const char *host, int port)
{
    struct http_client *client = http_client_get(c->loop, host, port, "/readyz", on_answer, c);
    if (client != NULL && loop_run(c->loop) != 0)
        snprintf(c->error, sizeof(c->error), "the event loop failed");
    http_client_free(client);
}

int healthcheck_run(const struct config *config)
{
    struct healthcheck c = {.error = "out of memory or file descriptors"};
    if (config->http_host == NULL) {
        snprintf(c.error, sizeof(c.error), "SWEEPER_HTTP_LISTEN is empty: the daemon has no HTTP");
    } else {
        c.loop = loop_new();
        if (c.loop != NULL)
            ask(&c, config->http_host, config->http_port);
        loop_free(c.loop);
    }
    if (!c.healthy)
        log_event(LOG_ERROR, "The daemon is not healthy", LOG_STR, "error", c.error, LOG_END);
    return c.healthy ? EXIT_DONE : EXIT_FAILED;
}
