/* One connection to Redis: when its bytes are read and written, and the requests that wait on it.
 *
 * hiredis formats and parses; its sockets and its asynchronous layer are not used: that asserts,
 * and so ends the process, when a server answers what nobody asked, and of TLS its older versions
 * know nothing. Nor is it a bufferevent of libevent's: that reads 4 KB for each turn of the loop,
 * writes a turn later, and asks the kernel twice about each write. An answer of 500 ids took 23
 * calls of the kernel in place of 8, and half as long again.
 *
 * Who has the connection (an attempt, then the link) is told what happens by a struct of callbacks.
 * What must hold:
 * - A loss closes the connection for requests at once, and is reported on a later turn: first every
 *   request fails with NULL, then on_lost. Only the first reason counts. So nothing is freed, and
 *   nobody is called back, inside the call that met the fault.
 * - The events go before the descriptor that they watch.
 * - What arrived before the end of the stream still counts: an error reply may explain it.
 * - With TLS, writing may have to read, and reading to write: the stream says what each waits for.
 * - All that is asked for on one turn of the loop leaves in one write at its end, before the loop
 *   sleeps: the event that writes is made active, which asks the kernel nothing. Only what the
 *   socket does not take waits for it, and what is held, for the next request. */
#include "link/redis_link_private.h"

#include "link/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#define READ_SIZE 16384   /* read in one go; no record of TLS is longer */
#define READS_PER_TURN 64 /* then the loop's other events get their turn */

void redis_conn_close(struct redis_conn *c)
{
    if (c->readable != NULL)
        event_free(c->readable);
    if (c->requests.writable != NULL)
        event_free(c->requests.writable);
    redis_stream_close(&c->stream);
    redis_reader_free(c->reader);
    redis_requests_unsend(&c->requests);
    timer_clear(c->held);
    c->readable = NULL;
    c->reader = NULL;
    c->requests.output = REDIS_OUTPUT_NONE;
    c->requests.writable = NULL;
    c->connected = false;
}

void redis_conn_lose(struct redis_conn *c, const char *reason)
{
    if (c->lost)
        return;
    c->lost = true;
    snprintf(c->reason, sizeof(c->reason), "%s", reason);
    if (c->readable != NULL)
        event_del(c->readable);
    if (c->requests.writable != NULL)
        event_del(c->requests.writable);
    timer_after_us(c->teardown, 0);
}

static void on_teardown(void *arg)
{
    struct redis_conn *c = arg;
    redis_conn_close(c);
    redis_requests_fail_all(&c->requests, c->reason);
    c->lost = false;
    c->events.on_lost(c->events.arg, c->reason);
}

static void on_held(void *arg)
{
    struct redis_conn *c = arg;
    if (!c->lost && c->requests.output == REDIS_OUTPUT_HELD)
        redis_requests_write(&c->requests);
}

void redis_conn_hold(struct redis_conn *c, int64_t until_us)
{
    if (c->lost || c->requests.output != REDIS_OUTPUT_SOON)
        return;
    event_del(c->requests.writable);
    c->requests.output = REDIS_OUTPUT_HELD;
    timer_at_us(c->held, until_us);
}

static void on_oldest(void *arg)
{
    struct redis_conn *c = arg;
    if (c->events.on_oldest != NULL)
        c->events.on_oldest(c->events.arg);
}

struct redis_conn *redis_conn_new(struct loop *loop, const char *ca_file)
{
    struct redis_conn *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return NULL;
    redis_requests_init(&c->requests, on_oldest, c);
    c->stream.fd = -1;
    c->loop = loop;
    c->ca_file = ca_file;
    c->teardown = timer_new(loop, on_teardown, c);
    c->held = timer_new(loop, on_held, c);
    if (c->teardown == NULL || c->held == NULL) {
        timer_free(c->teardown);
        timer_free(c->held);
        free(c);
        return NULL;
    }
    return c;
}

void redis_conn_free(struct redis_conn *c)
{
    if (c == NULL)
        return;
    assert(!c->requests.calling);
    redis_conn_close(c);
    redis_requests_fail_all(&c->requests, c->reason);
    timer_free(c->teardown);
    timer_free(c->held);
    free(c);
}

void redis_conn_own(struct redis_conn *c, const struct redis_conn_events *events)
{
    c->events = *events;
}

bool redis_conn_in_handshake(const struct redis_conn *c)
{
    return c->stream.ssl != NULL && !redis_tls_greeted(c->stream.ssl);
}

/* The stream is of no use any more. A port that speaks TLS ends what is not TLS without a word:
 * that is of interest as long as there was never an answer. */
static void lose_stream(struct redis_conn *c, const char *why)
{
    char reason[REDIS_REASON_SIZE];
    bool perhaps_tls = !c->answered && !c->address->tls && c->address->path == NULL;
    snprintf(reason, sizeof(reason), "%.180s%s", why,
             perhaps_tls ? ", before any answer (a port that speaks TLS needs rediss://)" : "");
    redis_conn_lose(c, reason);
}

static void wait_until_writable(struct redis_conn *c)
{
    if (event_add(c->requests.writable, NULL) != 0)
        redis_conn_lose(c, "out of memory");
}

static void flush_output(struct redis_conn *c)
{
    const char *bytes;
    size_t n;
    ssize_t written = 1;
    char why[REDIS_REASON_SIZE];
    while ((bytes = redis_requests_unsent(&c->requests, &n), n > 0) && written > 0) {
        written = redis_stream_write(&c->stream, bytes, n, why);
        if (written > 0)
            redis_requests_sent(&c->requests, (size_t)written);
    }
    c->requests.output = n > 0 ? REDIS_OUTPUT_FULL : REDIS_OUTPUT_NONE;
    if (written < 0)
        lose_stream(c, why);
    else if (n > 0 && c->stream.writing == REDIS_WAIT_WRITABLE)
        wait_until_writable(c);
}

/* The socket is connected, or has failed to. */
static void finish_connect(struct redis_conn *c)
{
    char why[REDIS_REASON_SIZE];
    if (redis_stream_connected(&c->stream, why) != 0) {
        c->events.on_refused(c->events.arg, why);
        return;
    }
    c->connected = true;
    if (c->address->tls &&
        redis_stream_start_tls(&c->stream, c->tls_name, c->address->host, c->ca_file, why) != 0)
        redis_conn_lose(c, why);
    else if (event_add(c->readable, NULL) != 0)
        redis_conn_lose(c, "out of memory");
    else
        c->events.on_connected(c->events.arg);
}

/* Reads all that has arrived, within bounds, so that a long answer needs few turns of the loop.
 * Returns -1, with `why`, when no more will arrive. */
static int read_input(struct redis_conn *c, char *why)
{
    char block[READ_SIZE];
    ssize_t n = READ_SIZE;
    for (int i = 0; i < READS_PER_TURN && n == READ_SIZE; i++) {
        n = redis_stream_read(&c->stream, block, sizeof(block), why);
        if (n > 0 && redis_reader_feed(c->reader, block, (size_t)n) != 0) {
            snprintf(why, REDIS_REASON_SIZE, "out of memory");
            return -1;
        }
    }
    return n < 0 ? -1 : 0;
}

static void take_answer(struct redis_conn *c, const struct redis_reply *reply)
{
    /* Of whoever has the connection now: the last answer of a handshake hands it on. */
    struct redis_conn_events events = c->events;
    enum redis_taken taken;
    c->answered = true;
    if (events.on_push != NULL && events.on_push(events.arg, reply))
        return;
    taken = redis_requests_answer(&c->requests, reply);
    if (taken == REDIS_UNASKED) { /* "max number of clients reached" arrives so */
        redis_conn_lose(c, redis_reply_type(reply) == REDIS_LINK_ERROR
                               ? redis_reply_str(reply, NULL)
                               : "Redis answered what nobody asked");
        return;
    }
    if (taken == REDIS_TAKEN && !c->lost && events.on_answer != NULL)
        events.on_answer(events.arg, reply);
    if (!c->lost && events.on_oldest != NULL)
        events.on_oldest(events.arg);
}

static void take_answers(struct redis_conn *c)
{
    struct redis_reply *reply;
    const char *why = NULL;
    while (!c->lost && (reply = redis_reader_next(c->reader, &why)) != NULL) {
        take_answer(c, reply);
        redis_reply_free(reply);
    }
    if (why != NULL)
        lose_stream(c, why);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct redis_conn *c = arg;
    char why[REDIS_REASON_SIZE];
    int failed = read_input(c, why);
    (void)fd;
    (void)what;
    take_answers(c);
    if (c->lost)
        return;
    if (failed != 0)
        lose_stream(c, why);
    else if (c->stream.reading == REDIS_WAIT_WRITABLE)
        wait_until_writable(c);
    else if (c->requests.output == REDIS_OUTPUT_FULL && c->stream.writing == REDIS_WAIT_READABLE)
        flush_output(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct redis_conn *c = arg;
    if (!c->connected) {
        finish_connect(c);
        return;
    }
    if (c->stream.reading == REDIS_WAIT_WRITABLE)
        on_readable(fd, what, arg);
    if (!c->lost)
        flush_output(c);
}

void redis_conn_open(struct redis_conn *c, const struct redis_address *address,
                     const char *tls_name, const struct addrinfo *at)
{
    struct event_base *base = loop_base(c->loop);
    char why[REDIS_REASON_SIZE];
    assert(c->stream.fd < 0 && !c->lost);
    c->address = address;
    c->tls_name = tls_name;
    if (redis_stream_open(&c->stream, address, at, why) != 0) {
        c->events.on_refused(c->events.arg, why);
        return;
    }
    c->reader = redis_reader_new();
    c->readable = event_new(base, c->stream.fd, EV_READ | EV_PERSIST, on_readable, c);
    c->requests.writable = event_new(base, c->stream.fd, EV_WRITE, on_writable, c);
    if (c->reader == NULL || c->readable == NULL || c->requests.writable == NULL ||
        event_add(c->requests.writable, NULL) != 0)
        redis_conn_lose(c, "out of memory");
}
