/* The HTTP server's sockets. */
#include "link/http_private.h"

#include "link/loop.h"

#include <errno.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Accepting failed (out of descriptors, say): without a pause the loop would spin on it. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    (void)arg;
    (void)evconnlistener_disable(listener); /* the tick enables it again */
}

/* [::] serves both families, whatever the host's default is. */
static bool is_everywhere(const struct addrinfo *address)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address->ai_addr;
    return address->ai_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

/* Returns a listening socket, or -1 with errno. */
static int open_socket(const struct addrinfo *address)
{
    const int on = 1;
    const int only_v6 = is_everywhere(address) ? 0 : 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (address->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6));
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static bool is_loopback(const struct addrinfo *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address->ai_addr;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address->ai_addr;
    return address->ai_family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr)
                                          : ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* Hands a socket to evhttp. -1: out of memory; the socket is closed. */
static int serve(struct http *h, int fd)
{
    struct evconnlistener *listener =
        evconnlistener_new(loop_base(h->loop), NULL, NULL, LEV_OPT_CLOSE_ON_FREE, 0, fd);
    if (listener == NULL) {
        close(fd);
        return -1;
    }
    if (evhttp_bind_listener(h->evhttp, listener) == NULL) {
        evconnlistener_free(listener);
        return -1;
    }
    evconnlistener_set_error_cb(listener, on_accept_error);
    h->listeners[h->nlisteners++] = listener;
    return 0;
}

/* All addresses of the host that this machine has; *reason is that of the last one it has not. */
static int listen_on(struct http *h, const struct addrinfo *list, int *reason)
{
    for (const struct addrinfo *a = list; a != NULL && h->nlisteners < HTTP_LISTENERS_MAX;
         a = a->ai_next) {
        int fd = open_socket(a);
        if (fd < 0) {
            *reason = errno;
            if (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)
                continue;
            return -1;
        }
        if (serve(h, fd) != 0) {
            *reason = ENOMEM;
            return -1;
        }
        h->only_here = h->only_here && is_loopback(a);
    }
    return h->nlisteners > 0 ? 0 : -1;
}

static int resolve(const struct http *h, int family, struct addrinfo **list)
{
    const struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char port[8];
    snprintf(port, sizeof(port), "%d", h->options.port);
    return getaddrinfo(h->options.host[0] != '\0' ? h->options.host : NULL, port, &hints, list);
}

int http_listen(struct http *h, char *error, size_t error_size)
{
    bool everywhere = h->options.host[0] == '\0';
    const int families[] = {everywhere ? AF_INET6 : AF_UNSPEC, AF_INET};
    int reason = 0;
    h->only_here = true;
    for (int i = 0; i < (everywhere ? 2 : 1); i++) {
        struct addrinfo *list = NULL;
        int rc = resolve(h, families[i], &list);
        if (rc != 0) {
            snprintf(error, error_size, "%s", gai_strerror(rc));
            continue;
        }
        rc = listen_on(h, list, &reason);
        freeaddrinfo(list);
        if (rc == 0)
            return 0;
        snprintf(error, error_size, "%s", strerror(reason));
        if (reason != EAFNOSUPPORT && reason != EADDRNOTAVAIL)
            return -1;
    }
    return -1;
}
