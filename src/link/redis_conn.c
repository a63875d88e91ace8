/* One connection to Redis: its socket, TLS, and the requests that wait on it.
 *
 * hiredis is used as a parser and a socket, with its non-blocking context; the queue of requests is
 * ours. Its asynchronous layer is not used: it asserts, and so ends the process, when a server
 * answers what nobody asked, and frees its context and calls back from inside other calls.
 *
 * Who has the connection (an attempt, then the link) is told what happens by a struct of callbacks.
 * What must hold:
 * - A loss closes the connection for requests at once, and is reported on a later turn: first every
 *   request fails with NULL, then on_lost. Only the first reason counts. So nothing is freed, and
 *   nobody is called back, inside the call that met the fault.
 * - The events go before the descriptor that they watch.
 * - What arrived before the end of the stream still counts: an error reply may explain it.
 * - With TLS, writing may have to read, and reading to write: OpenSSL is asked which it wants.
 * - All that is asked for on one turn of the loop leaves in one write at its end, before the loop
 *   sleeps: the event that writes is made active, which asks the kernel nothing. Only what the
 * socket does not take waits for it, and what is held, for the next request. */
#include "link/redis_link_private.h"

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
#define ANSWER_MAX_BYTES (64 * 1024 * 1024) /* no script answers with nearly as much */
#define ELEMENTS_MAX 65536                  /* of one array in an answer */

/* Nothing that a server says may make the parser set aside memory for more than this. */
#if HIREDIS_MAJOR >= 1
static void bound_reader(redisReader *reader)
{
    reader->maxelements = ELEMENTS_MAX;
}
#else
static void *(*library_create_array)(const redisReadTask *task, int elements);

static void *create_array(const redisReadTask *task, int elements)
{
    return elements <= ELEMENTS_MAX ? library_create_array(task, elements) : NULL;
}

static void bound_reader(redisReader *reader)
{
    static redisReplyObjectFunctions functions;
    if (library_create_array == NULL) {
        functions = *reader->fn;
        library_create_array = functions.createArray;
        functions.createArray = create_array;
    }
    reader->fn = &functions;
}
#endif

void redis_conn_close(struct redis_conn *c)
{
    if (c->readable != NULL)
        event_free(c->readable);
    if (c->requests.writable != NULL)
        event_free(c->requests.writable);
    if (c->requests.context != NULL)
        redisFree(c->requests.context);
    timer_clear(c->held);
    c->readable = NULL;
    c->requests.output = REDIS_OUTPUT_NONE;
    c->requests.writable = NULL;
    c->requests.context = NULL;
    c->ssl = NULL;
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

/* The output may end in a command whose answer nobody would take. */
static void on_broken(void *arg, const char *reason)
{
    redis_conn_lose(arg, reason);
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
    const struct redis_requests_events events = {
        .on_broken = on_broken, .on_oldest = on_oldest, .arg = c};
    redis_requests_init(&c->requests, &events);
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

/* The socket failed: says what hiredis, or TLS below it, has to say. */
static void lose_socket(struct redis_conn *c)
{
    const char *tls = redis_tls_error(c->ssl);
    char reason[REDIS_REASON_SIZE];
    snprintf(reason, sizeof(reason), "%s%s", tls != NULL ? "TLS: " : "",
             tls != NULL ? tls : c->requests.context->errstr);
    redis_conn_lose(c, reason);
}

static void flush_output(struct redis_conn *c)
{
    int done = 0;
    c->requests.output = REDIS_OUTPUT_NONE;
    redis_tls_prepare(c->ssl);
    if (redisBufferWrite(c->requests.context, &done) != REDIS_OK) {
        lose_socket(c);
    } else if ((!done && !redis_tls_wants_read(c->ssl)) || redis_tls_wants_write(c->ssl)) {
        c->requests.output = REDIS_OUTPUT_FULL;
        if (event_add(c->requests.writable, NULL) != 0)
            redis_conn_lose(c, "out of memory");
    }
}

/* The socket is connected, or has failed to. */
static void finish_connect(struct redis_conn *c)
{
    redisContext *context = c->requests.context;
    int failure = 0;
    int on = 1;
    socklen_t size = sizeof(failure);
    char why[REDIS_REASON_SIZE];
    if (getsockopt(context->fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
        failure = errno;
    if (failure != 0) {
        c->events.on_refused(c->events.arg, strerror(failure));
        return;
    }
    c->connected = true;
    if (c->address->path == NULL) /* a failure costs latency only */
        (void)setsockopt(context->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (c->address->tls &&
        redis_tls_start(context, c->tls_name, c->ca_file, &c->ssl, why, sizeof(why)) != 0) {
        redis_conn_lose(c, why);
        return;
    }
    if (event_add(c->readable, NULL) != 0)
        redis_conn_lose(c, "out of memory");
    else
        c->events.on_connected(c->events.arg);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct redis_conn *c = arg;
    (void)fd;
    (void)what;
    if (!c->connected)
        finish_connect(c);
    else
        flush_output(c);
}

/* Reads all that has arrived, within bounds, so that a long answer needs few turns of the loop. */
static int read_input(struct redis_conn *c)
{
    const redisReader *reader = c->requests.context->reader;
    for (int i = 0; i < READS_PER_TURN; i++) {
        size_t before = reader->len;
        redis_tls_prepare(c->ssl);
        if (redisBufferRead(c->requests.context) != REDIS_OK)
            return -1;
        if (reader->len - before < READ_SIZE)
            break;
    }
    return 0;
}

static void take_answer(struct redis_conn *c, const struct redis_reply *reply)
{
    /* Of whoever has the connection now: the last answer of a handshake hands it on. */
    struct redis_conn_events events = c->events;
    enum redis_taken taken;
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

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct redis_conn *c = arg;
    bool failed = read_input(c) != 0;
    redisReader *reader = c->requests.context->reader;
    (void)fd;
    (void)what;
    while (!c->lost) {
        void *reply = NULL;
        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            redis_conn_lose(c, reader->errstr);
            break;
        }
        if (reply == NULL)
            break;
        take_answer(c, redis_reply_wrap(reply));
        freeReplyObject(reply);
    }
    if (c->lost)
        return;
    if (failed)
        lose_socket(c);
    else if (reader->len > ANSWER_MAX_BYTES)
        redis_conn_lose(c, "Redis's answer is too long");
    else if (c->ssl != NULL) /* the handshake goes on with writing */
        flush_output(c);
}

/* A context that has begun to connect. NULL, with the reason in `why`, when that failed at once. */
static redisContext *begin(const struct redis_address *address, const char *ip, char *why,
                           size_t why_size)
{
    redisContext *context = address->path != NULL ? redisConnectUnixNonBlock(address->path)
                                                  : redisConnectNonBlock(ip, address->port);
    if (context == NULL) {
        snprintf(why, why_size, "out of memory");
    } else if (context->err != 0) {
        snprintf(why, why_size, "%s", context->errstr);
        redisFree(context);
        context = NULL;
    } else {
        bound_reader(context->reader);
    }
    return context;
}

void redis_conn_open(struct redis_conn *c, const struct redis_address *address,
                     const char *tls_name, const char *ip)
{
    struct event_base *base = loop_base(c->loop);
    char why[REDIS_REASON_SIZE];
    redisContext *context;
    assert(c->requests.context == NULL && !c->lost);
    context = begin(address, ip, why, sizeof(why));
    c->requests.context = context;
    c->address = address;
    c->tls_name = tls_name;
    if (context == NULL) {
        c->events.on_refused(c->events.arg, why);
        return;
    }
    c->readable = event_new(base, context->fd, EV_READ | EV_PERSIST, on_readable, c);
    c->requests.writable = event_new(base, context->fd, EV_WRITE, on_writable, c);
    if (c->readable == NULL || c->requests.writable == NULL ||
        event_add(c->requests.writable, NULL) != 0)
        redis_conn_lose(c, "out of memory");
}
