/* --check-config: whether the daemon can listen at its HTTP address. */
#include "app/check_http.h"

#include "app/check_report.h"
#include "config/config.h"
#include "link/http.h"
#include "link/http_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Only this host can reach it. */
static bool is_private(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

/* Everything that is said of an address that a sweeper can have, or has. */
static void accept_address(struct check_http *h, const char *how)
{
    check_ok("HTTP at %s: %s", h->address, how);
    if (is_private(h->config->http_host))
        return;
    if (h->config->read_token == NULL)
        check_note("HTTP at %s can be read by whoever reaches it: /status, /metrics and their "
                   "like want a SWEEPER_READ_TOKEN, where one is set",
                   h->address);
    if (h->config->admin_token == NULL)
        check_note("HTTP at %s: nothing can be changed there: POST wants a SWEEPER_ADMIN_TOKEN",
                   h->address);
}

static void on_neighbour(void *arg, int status, const char *text)
{
    struct check_http *h = arg;
    if (status == 200 && strcmp(text, "{\"ok\":true}") == 0)
        accept_address(h, "a sweeper answers there already");
    else
        check_fail(h->report,
                   "the HTTP address %s is in use by another program: stop that, or choose another "
                   "address (SWEEPER_HTTP_LISTEN)",
                   h->address);
    check_done(h->report, CHECK_HTTP);
}

void check_http_begin(struct check_http *h)
{
    struct http_options options = {.host = h->config->http_host, .port = h->config->http_port};
    char error[256];
    if (h->config->http_host == NULL) {
        check_note(
            "there is no HTTP (SWEEPER_HTTP_LISTEN is empty): no metrics, and --healthcheck and "
            "a probe have nothing to ask");
        check_done(h->report, CHECK_HTTP);
        return;
    }
    snprintf(h->address, sizeof(h->address),
             strchr(options.host, ':') != NULL ? "[%s]:%d" : "%s:%d",
             options.host[0] != '\0' ? options.host : "*", options.port);
    struct http *http = http_new(h->loop, &options, error, sizeof(error));
    if (http == NULL && strcmp(error, strerror(EADDRINUSE)) == 0)
        h->neighbour =
            http_client_get(h->loop, options.host, options.port, "/healthz", on_neighbour, h);
    if (h->neighbour != NULL)
        return;
    if (http != NULL)
        accept_address(h, "free");
    else
        check_fail(h->report,
                   "the daemon cannot listen at the HTTP address %s: %s: choose one of this host's "
                   "(SWEEPER_HTTP_LISTEN)",
                   h->address, error);
    http_free(http);
    check_done(h->report, CHECK_HTTP);
}

void check_http_clear(struct check_http *h)
{
    http_client_free(h->neighbour);
    h->neighbour = NULL;
}
