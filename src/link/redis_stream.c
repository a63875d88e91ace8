/* The bytes to and from one server: a TCP or a unix socket, and TLS over it where it is wanted.
 * Nothing here blocks, and nothing is kept: what cannot be read or written now is said. */
#include "link/redis_link_private.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void say_errno(char *why)
{
    snprintf(why, REDIS_REASON_SIZE, "%s", strerror(errno));
}

static socklen_t unix_address(const char *path, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(out->sun_path, sizeof(out->sun_path), "%s", path);
    return sizeof(*out);
}

static socklen_t tcp_address(const struct addrinfo *at, int port, struct sockaddr_storage *out)
{
    memcpy(out, at->ai_addr, at->ai_addrlen);
    if (at->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)out)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)out)->sin_port = htons((uint16_t)port);
    return at->ai_addrlen;
}

int redis_stream_open(struct redis_stream *s, const struct redis_address *address,
                      const struct addrinfo *at, char *why)
{
    struct sockaddr_storage to;
    socklen_t size = address->path != NULL ? unix_address(address->path, (struct sockaddr_un *)&to)
                                           : tcp_address(at, address->port, &to);
    *s = (struct redis_stream){
        .fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
        .reading = REDIS_WAIT_READABLE,
        .writing = REDIS_WAIT_WRITABLE,
    };
    if (s->fd >= 0 &&
        (connect(s->fd, (const struct sockaddr *)&to, size) == 0 || errno == EINPROGRESS))
        return 0;
    say_errno(why);
    redis_stream_close(s);
    return -1;
}

int redis_stream_connected(struct redis_stream *s, char *why)
{
    int failure = 0;
    int on = 1;
    socklen_t size = sizeof(failure);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0)
        errno = failure;
    if (errno != 0) {
        say_errno(why);
        return -1;
    }
    /* A failure costs latency only, and a unix socket has no such delay. */
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return 0;
}

int redis_stream_start_tls(struct redis_stream *s, const char *name, const char *address,
                           const char *ca_file, char *why)
{
    s->ssl = redis_tls_new(s->fd, name, address, ca_file, why);
    return s->ssl != NULL ? 0 : -1;
}

void redis_stream_close(struct redis_stream *s)
{
    redis_tls_free(s->ssl);
    if (s->fd >= 0)
        close(s->fd);
    s->ssl = NULL;
    s->fd = -1;
}

static bool try_later(void)
{
    return errno == EAGAIN || errno == EINTR;
}

ssize_t redis_stream_read(struct redis_stream *s, char *out, size_t size, char *why)
{
    ssize_t n;
    if (s->ssl != NULL)
        return redis_tls_read(s->ssl, out, size, &s->reading, why);
    n = recv(s->fd, out, size, 0);
    if (n > 0)
        return n;
    if (n < 0 && try_later())
        return 0;
    if (n == 0)
        snprintf(why, REDIS_REASON_SIZE, "%s", REDIS_CLOSED);
    else
        say_errno(why);
    return -1;
}

ssize_t redis_stream_write(struct redis_stream *s, const char *bytes, size_t n, char *why)
{
    ssize_t written;
    if (s->ssl != NULL)
        return redis_tls_write(s->ssl, bytes, n, &s->writing, why);
    written = send(s->fd, bytes, n, MSG_NOSIGNAL);
    if (written >= 0)
        return written;
    if (try_later())
        return 0;
    say_errno(why);
    return -1;
}
