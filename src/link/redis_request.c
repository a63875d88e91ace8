/* The requests of the Redis link: sent in order, answered in order, each called back exactly once.
 */
#include "link/redis_link_private.h"

#include "base/clock.h"
#include "link/loop.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void free_request(struct redis_request *request)
{
    if (request->command != NULL)
        redisFreeCommand(request->command);
    free(request);
}

static void call_back(struct redis_link *link, struct redis_request *request,
                      const struct redis_reply *reply, const char *error)
{
    link->in_callback = true;
    request->cb(request->arg, reply, error);
    link->in_callback = false;
}

static void arm_deadline(struct redis_link *link)
{
    const struct redis_request *oldest = STAILQ_FIRST(&link->pending);

    if (link->state != REDIS_LINK_UP)
        return;
    if (oldest == NULL)
        timer_clear(link->deadline);
    else
        timer_at_us(link->deadline, oldest->sent_us + link->options.command_timeout_us);
}

/* Appends the formatted command to the output and the request to those that wait. */
static int enqueue(struct redis_link *link, struct redis_request *request, const char *command,
                   size_t len)
{
    bool was_idle = STAILQ_EMPTY(&link->pending);

    if (redisAppendFormattedCommand(link->context, command, len) != REDIS_OK ||
        event_add(link->writable, NULL) != 0) {
        redis_link_lost(link, "out of memory"); /* the output may end in an unanswered command */
        return -1;
    }
    request->sent_us = clock_mono_us();
    STAILQ_INSERT_TAIL(&link->pending, request, entry);
    if (was_idle)
        arm_deadline(link);
    return 0;
}

static int send_request(struct redis_link *link, struct redis_request *from, int argc,
                        const char *const *argv, const size_t *lengths)
{
    struct redis_request *request = calloc(1, sizeof(*request));
    long long len;

    if (request == NULL)
        return -1;
    *request = *from;
    len = redisFormatCommandArgv(&request->command, argc, (const char **)argv, lengths);
    if (len < 0) {
        request->command = NULL;
        free_request(request);
        return -1;
    }
    request->command_len = (size_t)len;
    request->words = argc;
    if (enqueue(link, request, request->command, request->command_len) != 0) {
        free_request(request);
        return -1;
    }
    if (request->script == NULL) {
        redisFreeCommand(request->command);
        request->command = NULL;
    }
    return 0;
}

int redis_link_send(struct redis_link *link, redis_link_cb *cb, void *arg, int argc,
                    const char *const *argv, const size_t *lengths)
{
    struct redis_request request = {.cb = cb, .arg = arg};

    return link->closing ? -1 : send_request(link, &request, argc, argv, lengths);
}

int redis_link_command(struct redis_link *link, redis_link_cb *cb, void *arg, int argc,
                       const char *const *argv, const size_t *lengths)
{
    return link->state == REDIS_LINK_UP ? redis_link_send(link, cb, arg, argc, argv, lengths) : -1;
}

/* What stands before the keys and arguments in a formatted EVALSHA or EVAL. */
#define SHA_HEAD "*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n"
#define TEXT_HEAD "*%d\r\n$4\r\nEVAL\r\n$%zu\r\n%s\r\n"

int redis_link_script(struct redis_link *link, redis_link_cb *cb, void *arg,
                      const struct lua_script *script, int nkeys, int nargs,
                      const char *const *args, const size_t *lengths)
{
    struct redis_request request = {.cb = cb, .arg = arg, .script = script};
    size_t n = (size_t)nkeys + (size_t)nargs;
    const char **argv;
    size_t *argl;
    char keys[16];
    int rc = -1;

    if (link->state != REDIS_LINK_UP)
        return -1;
    argv = calloc(n + 3, sizeof(*argv));
    argl = calloc(n + 3, sizeof(*argl));
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
        rc = send_request(link, &request, (int)n + 3, argv, argl);
    }
    free(argv);
    free(argl);
    return rc;
}

/* Sends the script's text in place of its SHA1, with the same keys and arguments. */
static int resend_as_text(struct redis_link *link, struct redis_request *request)
{
    const struct lua_script *script = request->script;
    int words = request->words;
    size_t head = (size_t)snprintf(NULL, 0, SHA_HEAD, words, script->sha1);
    size_t text_len = strlen(script->text);
    size_t text_head = (size_t)snprintf(NULL, 0, TEXT_HEAD, words, text_len, script->text);
    size_t rest = request->command_len - head;
    char *command = malloc(text_head + rest + 1);
    int rc;

    if (command == NULL)
        return -1;
    snprintf(command, text_head + 1, TEXT_HEAD, words, text_len, script->text);
    memcpy(command + text_head, request->command + head, rest);
    request->script = NULL; /* once */
    rc = enqueue(link, request, command, text_head + rest);
    free(command);
    return rc;
}

/* Every request once, each with NULL. They are taken from the list one by one, since a callback
 * may stop the link. */
void redis_request_fail_all(struct redis_link *link)
{
    struct redis_request *request;

    while ((request = STAILQ_FIRST(&link->pending)) != NULL) {
        STAILQ_REMOVE_HEAD(&link->pending, entry);
        call_back(link, request, NULL, link->last_error);
        free_request(request);
    }
}

void redis_request_answer(struct redis_link *link, redisReply *raw)
{
    const struct redis_reply *reply = redis_reply_wrap(raw);
    struct redis_request *request = STAILQ_FIRST(&link->pending);
    bool was_up = link->state == REDIS_LINK_UP;
    bool useless = redis_reply_useless(reply);

    if (request == NULL) { /* "max number of clients reached" arrives so */
        redis_link_lost(link, redis_reply_type(reply) == REDIS_LINK_ERROR
                                  ? redis_reply_str(reply, NULL)
                                  : "Redis answered what nobody asked");
        return;
    }
    STAILQ_REMOVE_HEAD(&link->pending, entry);
    if (request->script != NULL && redis_reply_has_code(reply, "NOSCRIPT") &&
        resend_as_text(link, request) == 0) {
        arm_deadline(link);
        return;
    }
    call_back(link, request, reply, NULL);
    free_request(request);
    if (!was_up || link->closing)
        return;
    if (useless) {
        redis_link_lost(link, redis_reply_str(reply, NULL));
        return;
    }
    backoff_reset(&link->backoff); /* not at once when the gate opens: a server may flap */
    arm_deadline(link);
}
