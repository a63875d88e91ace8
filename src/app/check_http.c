/* --check-config: whether the daemon can listen at its HTTP address. */
#include "app/check_private.h"

#include "config/config.h"
#include "link/http.h"
#include "link/http_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *shown_host(const struct check *c)
{
    return c->config->http_host[0] != '\0' ? c->config->http_host : "*";
}

/* Only this host can reach it. */
static bool is_private(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

/* Everything that is said of an address that a sweeper can have, or has. */
static void accept_address(struct check *c, const char *how)
{
    check_ok("HTTP at %s:%d: %s", shown_host(c), c->config->http_port, how);
    if (!is_private(c->config->http_host) && c->config->admin_token == NULL)
        check_note("HTTP at %s:%d can be read by whoever reaches it, and nothing can be changed "
                   "there: POST wants a SWEEPER_ADMIN_TOKEN",
                   shown_host(c), c->config->http_port);
}

static void on_neighbour(void *arg, int status, const char *text)
{
    struct check *c = arg;
    if (status == 200 && strcmp(text, "{\"ok\":true}") == 0)
        accept_address(c, "a sweeper answers there already");
    else
        check_fail(
            c,
            "the HTTP address %s:%d is in use by another program: stop that, or choose another "
            "address (SWEEPER_HTTP_LISTEN)",
            shown_host(c), c->config->http_port);
    check_done(c, CHECK_HTTP);
}

void check_http_begin(struct check *c)
{
    struct http_options options = {.host = c->config->http_host, .port = c->config->http_port};
    char error[256];
    if (c->config->http_host == NULL) {
        check_note(
            "there is no HTTP (SWEEPER_HTTP_LISTEN is empty): no metrics, and --healthcheck and "
            "a probe have nothing to ask");
        check_done(c, CHECK_HTTP);
        return;
    }
    struct http *http = http_new(c->context.parts.loop, &options, error, sizeof(error));
    if (http == NULL && strcmp(error, strerror(EADDRINUSE)) == 0)
        c->neighbour = http_client_get(c->context.parts.loop, options.host, options.port,
                                       "/healthz", on_neighbour, c);
    if (c->neighbour != NULL)
        return;
    if (http != NULL)
        accept_address(c, "free");
    else
        check_fail(
            c,
            "the daemon cannot listen at the HTTP address %s:%d: %s: choose one of this host's "
            "(SWEEPER_HTTP_LISTEN)",
            shown_host(c), c->config->http_port, error);
    http_free(http);
    check_done(c, CHECK_HTTP);
}
