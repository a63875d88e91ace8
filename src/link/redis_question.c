/* A connection on which one question is asked: of a Sentinel, or of a Cluster's node.
 *
 * How it works. An attempt (redis_attempt.c) makes the connection usable, judging nothing of the
 * server; then the question leaves, and with it SUBSCRIBE where a channel is wanted: so nothing is
 * said in between that is not heard. Each question has a connection of its own: one that listens
 * takes no further questions.
 *
 * What must hold:
 * - A question ends once: with an answer, or with the end of its connection. `waits` says that it
 *   has not.
 * - Whoever asks while there is a connection loses that first; its end begins the next (again). */
#include "link/redis_link_private.h"

#include "link/loop.h"
#include "link/redis_find_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 3
#define PING_US (2 * SECOND_US) /* while it listens: nobody says that a machine has gone */

struct redis_question {
    struct redis_question_events events;
    struct redis_conn *conn;
    struct redis_attempt *attempt;
    struct timer *deadline, *ping;
    struct redis_address address; /* of whom is asked; borrowed */
    const char *tls_name;
    const char *words[WORDS_MAX];
    int n_words;
    const char *channel; /* NULL: none */
    bool waits;          /* for an answer */
    bool open;           /* there is a connection, or an attempt at one */
    bool again;          /* the next question begins at its end */
    bool listens;
};

static void send_words(struct redis_question *q, redis_link_cb *cb, int argc,
                       const char *const *argv)
{
    size_t lengths[WORDS_MAX];
    for (int i = 0; i < argc; i++)
        lengths[i] = strlen(argv[i]);
    if (!q->conn->lost &&
        redis_requests_command(&q->conn->requests, cb, q, argc, argv, lengths) != 0)
        redis_conn_lose(q->conn, "out of memory");
}

static void start(struct redis_question *q)
{
    const struct redis_target target = {
        .address = &q->address, .tls_name = q->tls_name, .questions_only = true};
    q->open = true;
    timer_after_us(q->deadline, REDIS_ASK_US);
    redis_attempt_start(q->attempt, &target);
}

static void on_ended(void *arg, const char *reason)
{
    struct redis_question *q = arg;
    bool listened = q->listens;
    timer_clear(q->deadline);
    timer_clear(q->ping);
    q->open = q->listens = false;
    if (q->again) {
        q->again = false;
        start(q);
    } else if (q->waits) {
        q->waits = false;
        q->events.on_answer(q->events.arg, NULL, reason);
    } else if (listened) {
        q->events.on_deaf(q->events.arg, reason);
    }
}

static void on_deadline(void *arg)
{
    struct redis_question *q = arg;
    redis_conn_lose(q->conn, "no answer within 300 ms");
}

static void on_answer(void *arg, const struct redis_reply *reply, const char *error)
{
    struct redis_question *q = arg;
    (void)error;
    if (reply == NULL || q->again || !q->waits)
        return;
    q->waits = false;
    timer_clear(q->deadline);
    q->listens = q->channel != NULL && redis_reply_type(reply) != REDIS_LINK_ERROR;
    if (q->listens)
        timer_after_us(q->ping, PING_US);
    else
        redis_conn_lose(q->conn, "it has been asked");
    q->events.on_answer(q->events.arg, reply, NULL);
}

static void on_subscribed(void *arg, const struct redis_reply *reply, const char *error)
{
    struct redis_question *q = arg;
    (void)error;
    if (redis_reply_type(reply) == REDIS_LINK_ERROR)
        redis_conn_lose(q->conn, redis_reply_str(reply, NULL));
}

static void on_pong(void *arg, const struct redis_reply *reply, const char *error)
{
    struct redis_question *q = arg;
    (void)error;
    if (reply == NULL)
        return;
    timer_clear(q->deadline);
    timer_after_us(q->ping, PING_US);
}

static void on_ping(void *arg)
{
    struct redis_question *q = arg;
    timer_after_us(q->deadline, REDIS_ASK_US);
    send_words(q, on_pong, 1, (const char *[]){"PING"});
}

static bool on_push(void *arg, const struct redis_reply *reply)
{
    struct redis_question *q = arg;
    if (q->channel == NULL ||
        strcmp(redis_reply_str(redis_reply_at(reply, 0), NULL), "message") != 0)
        return false;
    if (q->listens && !q->conn->lost)
        q->events.on_message(q->events.arg, reply);
    return true;
}

static void on_attempt(void *arg, const char *reason)
{
    struct redis_question *q = arg;
    const struct redis_conn_events events = {.on_lost = on_ended, .on_push = on_push, .arg = q};
    if (reason != NULL) {
        on_ended(q, reason);
        return;
    }
    redis_conn_own(q->conn, &events);
    send_words(q, on_answer, q->n_words, q->words);
    if (q->channel != NULL)
        send_words(q, on_subscribed, 2, (const char *[]){"SUBSCRIBE", q->channel});
}

void redis_question_ask(struct redis_question *q, const struct redis_address *address,
                        const char *tls_name, int argc, const char *const *argv,
                        const char *channel)
{
    q->address = *address;
    q->tls_name = tls_name;
    memcpy(q->words, argv, (size_t)argc * sizeof(*argv));
    q->n_words = argc;
    q->waits = true;
    q->listens = false;
    q->again = q->open;
    q->channel = channel;
    timer_clear(q->deadline);
    timer_clear(q->ping);
    if (q->open)
        redis_conn_lose(q->conn, "something else is asked");
    else
        start(q);
}

void redis_question_drop(struct redis_question *q)
{
    q->waits = q->listens = q->again = false;
    if (q->open)
        redis_conn_lose(q->conn, "nobody asks any more");
}

struct redis_question *redis_question_new(struct loop *loop, const char *ca_file,
                                          const struct redis_question_events *events)
{
    struct redis_question *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return NULL;
    const struct redis_attempt_options attempt = {
        .timeout_us = REDIS_ASK_US, .done = on_attempt, .arg = q};
    q->events = *events;
    q->deadline = timer_new_deadline(loop, on_deadline, q);
    q->ping = timer_new(loop, on_ping, q);
    q->conn = redis_conn_new(loop, ca_file);
    if (q->conn != NULL)
        q->attempt = redis_attempt_new(loop, q->conn, &attempt);
    if (q->deadline == NULL || q->ping == NULL || q->attempt == NULL) {
        redis_question_free(q);
        return NULL;
    }
    return q;
}

void redis_question_free(struct redis_question *q)
{
    if (q == NULL)
        return;
    redis_question_drop(q);
    redis_conn_free(q->conn);
    redis_attempt_free(q->attempt);
    timer_free(q->deadline);
    timer_free(q->ping);
    free(q);
}
