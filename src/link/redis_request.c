/* The requests of one connection to Redis: sent in order, answered in order, each called back
 * exactly once.
 *
 * Redis answers in the order of the commands and without naming them, so the oldest request that
 * waits is the one that is answered. What must hold: a command is among the bytes that are to be
 * sent, or has been, if and only if its request is in the queue. A script goes out by its SHA1; to
 * NOSCRIPT its text is sent in its place, once, behind what was sent meanwhile. */
#include "link/redis_link_private.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_SIZE 65536 /* room for commands that is kept when all have been written */

void redis_requests_init(struct redis_requests *q, event_cb *on_oldest, void *arg)
{
    STAILQ_INIT(&q->pending);
    q->on_oldest = on_oldest;
    q->arg = arg;
}

static void free_request(struct redis_request *request)
{
    if (request->command != NULL)
        redisFreeCommand(request->command);
    free(request);
}

static void call_back(struct redis_requests *q, struct redis_request *request,
                      const struct redis_reply *reply, const char *error)
{
    const char *queue = log_set_queue(request->queue);
    q->calling = true;
    request->cb(request->arg, reply, error);
    q->calling = false;
    (void)log_set_queue(queue);
}

int64_t redis_requests_oldest_us(const struct redis_requests *q)
{
    const struct redis_request *oldest = STAILQ_FIRST(&q->pending);
    return oldest != NULL ? oldest->sent_us : INT64_MAX;
}

void redis_requests_write(struct redis_requests *q)
{
    if (q->output == REDIS_OUTPUT_FULL || q->output == REDIS_OUTPUT_SOON)
        return;
    q->output = REDIS_OUTPUT_SOON;
    event_active(q->writable, EV_WRITE, 0);
}

const char *redis_requests_unsent(const struct redis_requests *q, size_t *n)
{
    *n = q->end - q->begin;
    return q->unsent + q->begin;
}

void redis_requests_unsend(struct redis_requests *q)
{
    free(q->unsent);
    q->unsent = NULL;
    q->begin = q->end = q->size = 0;
}

void redis_requests_sent(struct redis_requests *q, size_t n)
{
    assert(n <= q->end - q->begin);
    q->begin += n;
    if (q->begin < q->end)
        return;
    q->begin = q->end = 0;
    if (q->size > KEPT_SIZE)
        redis_requests_unsend(q);
}

/* Makes room for n bytes more. Nothing has changed when memory ran out. */
static int reserve(struct redis_requests *q, size_t n)
{
    size_t waiting = q->end - q->begin;
    size_t size = q->size == 0 ? 4096 : q->size;
    char *bytes;
    if (q->size - q->end >= n)
        return 0;
    while (size - waiting < n)
        size *= 2;
    bytes = malloc(size);
    if (bytes == NULL)
        return -1;
    if (waiting > 0)
        memcpy(bytes, q->unsent + q->begin, waiting);
    free(q->unsent);
    q->unsent = bytes;
    q->begin = 0;
    q->end = waiting;
    q->size = size;
    return 0;
}

/* Appends the formatted command to the output and the request to those that wait. */
static int enqueue(struct redis_requests *q, struct redis_request *request, const char *command,
                   size_t len)
{
    bool was_idle = STAILQ_EMPTY(&q->pending);
    if (reserve(q, len) != 0)
        return -1;
    memcpy(q->unsent + q->end, command, len);
    q->end += len;
    redis_requests_write(q);
    request->sent_us = clock_mono_us();
    STAILQ_INSERT_TAIL(&q->pending, request, entry);
    if (was_idle)
        q->on_oldest(q->arg);
    return 0;
}

static int send_request(struct redis_requests *q, const struct redis_request *from, int argc,
                        const char *const *argv, const size_t *lengths)
{
    struct redis_request *request;
    long long len;
    assert(q->writable != NULL);
    request = calloc(1, sizeof(*request));
    if (request == NULL)
        return -1;
    *request = *from;
    request->queue = log_queue();
    len = redisFormatCommandArgv(&request->command, argc, (const char **)argv, lengths);
    if (len < 0) {
        request->command = NULL;
        free_request(request);
        return -1;
    }
    request->command_len = (size_t)len;
    request->words = argc;
    if (enqueue(q, request, request->command, request->command_len) != 0) {
        free_request(request);
        return -1;
    }
    if (request->script == NULL) {
        redisFreeCommand(request->command);
        request->command = NULL;
    }
    return 0;
}

int redis_requests_command(struct redis_requests *q, redis_link_cb *cb, void *arg, int argc,
                           const char *const *argv, const size_t *lengths)
{
    const struct redis_request request = {.cb = cb, .arg = arg};
    return send_request(q, &request, argc, argv, lengths);
}

/* What stands before the keys and arguments in a formatted EVALSHA or EVAL. */
#define SHA_HEAD "*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n"
#define TEXT_HEAD "*%d\r\n$4\r\nEVAL\r\n$%zu\r\n%s\r\n"

int redis_requests_script(struct redis_requests *q, redis_link_cb *cb, void *arg,
                          const struct lua_script *script, int nkeys, int nargs,
                          const char *const *args, const size_t *lengths)
{
    const struct redis_request request = {.cb = cb, .arg = arg, .script = script};
    size_t n = (size_t)nkeys + (size_t)nargs;
    const char **argv = calloc(n + 3, sizeof(*argv));
    size_t *argl = calloc(n + 3, sizeof(*argl));
    char keys[16];
    int rc = -1;
    if (argv != NULL && argl != NULL) {
        argv[0] = "EVALSHA";
        argv[1] = script->sha1;
        argv[2] = keys;
        argl[0] = strlen(argv[0]);
        argl[1] = strlen(script->sha1);
        argl[2] = (size_t)snprintf(keys, sizeof(keys), "%d", nkeys);
        if (n > 0) {
            memcpy(argv + 3, args, n * sizeof(*argv));
            memcpy(argl + 3, lengths, n * sizeof(*argl));
        }
        rc = send_request(q, &request, (int)n + 3, argv, argl);
    }
    free(argv);
    free(argl);
    return rc;
}

/* Sends the script's text in place of its SHA1, with the same keys and arguments. */
static int resend_as_text(struct redis_requests *q, struct redis_request *request)
{
    const struct lua_script *script = request->script;
    int words = request->words;
    size_t head = (size_t)snprintf(NULL, 0, SHA_HEAD, words, script->sha1);
    size_t text_len = strlen(script->text);
    size_t text_head = (size_t)snprintf(NULL, 0, TEXT_HEAD, words, text_len, script->text);
    size_t rest = request->command_len - head;
    char *command = malloc(text_head + rest + 1);
    int rc;
    assert(head <= request->command_len);
    if (command == NULL)
        return -1;
    snprintf(command, text_head + 1, TEXT_HEAD, words, text_len, script->text);
    memcpy(command + text_head, request->command + head, rest);
    request->script = NULL; /* once */
    rc = enqueue(q, request, command, text_head + rest);
    free(command);
    return rc;
}

/* They are taken from the list one by one, since a callback may stop the link. */
void redis_requests_fail_all(struct redis_requests *q, const char *error)
{
    struct redis_request *request;
    while ((request = STAILQ_FIRST(&q->pending)) != NULL) {
        STAILQ_REMOVE_HEAD(&q->pending, entry);
        call_back(q, request, NULL, error);
        free_request(request);
    }
}

enum redis_taken redis_requests_answer(struct redis_requests *q, const struct redis_reply *reply)
{
    struct redis_request *request = STAILQ_FIRST(&q->pending);
    if (request == NULL)
        return REDIS_UNASKED;
    STAILQ_REMOVE_HEAD(&q->pending, entry);
    if (request->script != NULL && redis_reply_has_code(reply, "NOSCRIPT") &&
        resend_as_text(q, request) == 0)
        return REDIS_RESENT;
    call_back(q, request, reply, NULL);
    free_request(request);
    return REDIS_TAKEN;
}
