/* The Redis link: states, the socket, and the requests that wait for an answer.
 *
 * hiredis is used as a parser and a socket, with its non-blocking context; the queue of requests is
 * ours. Its asynchronous layer is not used: it asserts, and so ends the process, when a server
 * answers what nobody asked, and frees its context and calls back from inside other calls. */
#include "link/redis_link_private.h"

#include "base/time_units.h"
#include "link/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_SIZE 16384                     /* what hiredis reads in one go */
#define READS_PER_TURN 64                   /* then the loop's other events get their turn */
#define ANSWER_MAX_BYTES (64 * 1024 * 1024) /* no script of ours answers with nearly as much */

static void on_deadline(void *arg);
static void on_teardown(void *arg);
static void on_retry(void *arg);
static void on_resolved(void *arg, const char *ip, unsigned n, const char *error);

struct redis_link *redis_link_new(struct loop *loop, const struct redis_link_options *options)
{
    struct redis_link *link = calloc(1, sizeof(*link));

    if (link == NULL)
        return NULL;
    link->loop = loop;
    link->options = *options;
    link->state = REDIS_LINK_DOWN;
    link->backoff.min_us = options->backoff_min_us;
    link->backoff.max_us = options->backoff_max_us;
    STAILQ_INIT(&link->pending);
    link->deadline = timer_new_deadline(loop, on_deadline, link);
    link->teardown = timer_new(loop, on_teardown, link);
    link->retry = timer_new(loop, on_retry, link);
    link->resolver = redis_resolver_new(loop, on_resolved, link);
    if (link->deadline == NULL || link->teardown == NULL || link->retry == NULL ||
        link->resolver == NULL) {
        redis_link_free(link);
        return NULL;
    }
    return link;
}

/* The events go first: they must not outlive the descriptor. */
static void close_socket(struct redis_link *link)
{
    if (link->readable != NULL)
        event_free(link->readable);
    if (link->writable != NULL)
        event_free(link->writable);
    if (link->context != NULL)
        redisFree(link->context);
    link->readable = NULL;
    link->writable = NULL;
    link->context = NULL;
    link->ssl = NULL;
    link->connected = false;
}

void redis_link_free(struct redis_link *link)
{
    if (link == NULL)
        return;
    assert(!link->in_callback);
    link->stopped = true;
    redis_link_reset(link, "the link was closed");
    close_socket(link);
    redis_request_fail_all(link);
    redis_resolver_free(link->resolver);
    timer_free(link->deadline);
    timer_free(link->teardown);
    timer_free(link->retry);
    redis_address_clear(&link->address);
    free(link);
}

void redis_link_start(struct redis_link *link)
{
    if (!link->stopped && !link->closing && link->state == REDIS_LINK_DOWN)
        timer_after_us(link->retry, 0);
}

void redis_link_reset(struct redis_link *link, const char *reason)
{
    if (link->state != REDIS_LINK_DOWN)
        redis_link_lost(link, reason);
}

void redis_link_stop(struct redis_link *link)
{
    link->stopped = true;
    timer_clear(link->retry);
    redis_link_reset(link, "the link was stopped");
}

enum redis_state redis_link_state(const struct redis_link *link)
{
    return link->state;
}

const struct redis_server_info *redis_link_info(const struct redis_link *link)
{
    return &link->info;
}

uint64_t redis_link_reconnects(const struct redis_link *link)
{
    return link->reconnects;
}

const char *redis_link_last_error(const struct redis_link *link)
{
    return link->last_error;
}

static void report(struct redis_link *link, const char *reason)
{
    link->in_callback = true;
    link->options.on_state(link->options.arg, link->state, reason);
    link->in_callback = false;
}

void redis_link_opened(struct redis_link *link)
{
    link->state = REDIS_LINK_UP;
    if (link->was_up)
        link->reconnects++;
    link->was_up = true;
    timer_clear(link->deadline);
    report(link, NULL);
}

void redis_link_lost(struct redis_link *link, const char *reason)
{
    if (link->closing)
        return;
    if (link->state == REDIS_LINK_CONNECTING)
        link->address_index++;
    link->state = REDIS_LINK_DOWN;
    link->closing = true;
    snprintf(link->last_error, sizeof(link->last_error), "%s", reason);
    timer_clear(link->deadline);
    redis_resolver_cancel(link->resolver);
    if (link->readable != NULL)
        event_del(link->readable);
    if (link->writable != NULL)
        event_del(link->writable);
    timer_after_us(link->teardown, 0);
}

static void on_teardown(void *arg)
{
    struct redis_link *link = arg;

    close_socket(link);
    redis_request_fail_all(link);
    link->closing = false;
    if (!link->stopped)
        timer_after_us(link->retry, backoff_next_us(&link->backoff));
    report(link, link->last_error);
}

static void on_deadline(void *arg)
{
    struct redis_link *link = arg;
    bool up = link->state == REDIS_LINK_UP;
    int64_t limit_us = up ? link->options.command_timeout_us : link->options.connect_timeout_us;
    char reason[64];

    snprintf(reason, sizeof(reason), "%s within %lld ms", up ? "no answer" : "no connection",
             (long long)(limit_us / MS_US));
    redis_link_lost(link, reason);
}

/* The socket failed: says what hiredis, or TLS below it, has to say. */
static void lose_socket(struct redis_link *link)
{
    const char *tls = redis_tls_error(link->ssl);
    char reason[256];

    snprintf(reason, sizeof(reason), "%s%s", tls != NULL ? "TLS: " : "",
             tls != NULL ? tls : link->context->errstr);
    redis_link_lost(link, reason);
}

static void flush_output(struct redis_link *link)
{
    int done = 0;

    redis_tls_prepare(link->ssl);
    if (redisBufferWrite(link->context, &done) != REDIS_OK)
        lose_socket(link);
    else if ((!done && !redis_tls_wants_read(link->ssl)) || redis_tls_wants_write(link->ssl))
        event_add(link->writable, NULL);
}

/* Nothing listens there: the host's other addresses belong to the same attempt ("localhost" is
 * often two, of which one works). */
static void lose_address(struct redis_link *link, const char *reason)
{
    if (link->addresses_left > 1) {
        link->addresses_left--;
        link->address_index++;
        close_socket(link);
        if (redis_resolver_start(link->resolver, link->address.host, link->address_index) == 0)
            return;
    }
    redis_link_lost(link, reason);
}

/* The connection attempt has ended, one way or the other. */
static void finish_connect(struct redis_link *link)
{
    const struct redis_address *address = &link->address;
    int failure = 0;
    int on = 1;
    socklen_t size = sizeof(failure);
    char why[256];

    if (getsockopt(link->context->fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    if (failure != 0) {
        lose_address(link, strerror(failure));
        return;
    }
    link->connected = true;
    if (address->path == NULL) /* a failure costs latency only */
        (void)setsockopt(link->context->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (address->tls && redis_tls_start(link->context, address->host, link->options.ca_file,
                                        &link->ssl, why, sizeof(why)) != 0) {
        redis_link_lost(link, why);
        return;
    }
    if (event_add(link->readable, NULL) != 0)
        redis_link_lost(link, "out of memory");
    else
        redis_connect_handshake(link);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct redis_link *link = arg;

    (void)fd;
    (void)what;
    if (!link->connected)
        finish_connect(link);
    else
        flush_output(link);
}

/* Reads all that has arrived, within bounds, so that a long answer needs few turns of the loop. */
static int read_input(struct redis_link *link)
{
    const redisReader *reader = link->context->reader;

    for (int i = 0; i < READS_PER_TURN; i++) {
        size_t before = reader->len;

        redis_tls_prepare(link->ssl);
        if (redisBufferRead(link->context) != REDIS_OK)
            return -1;
        if (reader->len - before < READ_SIZE)
            break;
    }
    return 0;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct redis_link *link = arg;
    bool failed = read_input(link) != 0;

    (void)fd;
    (void)what;
    /* What arrived before the end of the stream still counts: an error reply may explain it. */
    while (!link->closing) {
        void *reply = NULL;

        if (redisReaderGetReply(link->context->reader, &reply) != REDIS_OK) {
            redis_link_lost(link, link->context->reader->errstr);
            break;
        }
        if (reply == NULL)
            break;
        redis_request_answer(link, reply);
        freeReplyObject(reply);
    }
    if (link->closing)
        return;
    if (failed)
        lose_socket(link);
    else if (link->context->reader->len > ANSWER_MAX_BYTES)
        redis_link_lost(link, "Redis's answer is too long");
    else if (link->ssl != NULL) /* the handshake goes on with writing */
        flush_output(link);
}

/* With ip == NULL: to the socket's path. */
static void open_socket(struct redis_link *link, const char *ip)
{
    struct event_base *base = loop_base(link->loop);
    char why[256];

    link->context = redis_connect_begin(&link->address, ip, why, sizeof(why));
    if (link->context == NULL) {
        lose_address(link, why);
        return;
    }
    link->readable = event_new(base, link->context->fd, EV_READ | EV_PERSIST, on_readable, link);
    link->writable = event_new(base, link->context->fd, EV_WRITE, on_writable, link);
    if (link->readable == NULL || link->writable == NULL || event_add(link->writable, NULL) != 0)
        redis_link_lost(link, "out of memory");
}

static void on_resolved(void *arg, const char *ip, unsigned n, const char *error)
{
    struct redis_link *link = arg;

    if (link->addresses_left == 0)
        link->addresses_left = n;
    if (ip != NULL)
        open_socket(link, ip);
    else
        redis_link_lost(link, error);
}

/* Where Redis is, is asked anew at each attempt. */
static void on_retry(void *arg)
{
    struct redis_link *link = arg;
    const struct redis_address *address = &link->address;

    link->state = REDIS_LINK_CONNECTING;
    link->addresses_left = 0;
    timer_after_us(link->deadline, link->options.connect_timeout_us);
    redis_address_clear(&link->address);
    if (redis_address_copy(&link->address,
                           link->options.source.address(link->options.source.arg)) != 0)
        redis_link_lost(link, "out of memory");
    else if (address->path != NULL)
        open_socket(link, NULL);
    else if (redis_resolver_start(link->resolver, address->host, link->address_index) != 0)
        redis_link_lost(link, "the host name cannot be resolved now");
}
