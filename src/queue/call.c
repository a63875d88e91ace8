/* Calls of the due queue, and the arguments of one. */
#include "queue/call.h"

#include "base/clock.h"
#include "base/int_text.h"
#include "queue/redis_refusal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- arguments ---- */

int due_args_begin(struct due_args *args, const struct due_queue *q, size_t room)
{
    size_t n = room + KEY_COUNT;
    char *block =
        malloc(n * (sizeof(*args->values) + sizeof(*args->lengths) + sizeof(*args->numbers)));
    if (block == NULL)
        return -1;
    *args = (struct due_args){.room = n};
    args->values = (const char **)(void *)block;
    args->lengths = (size_t *)(void *)(args->values + n);
    args->numbers = (char(*)[INT_TEXT])(void *)(args->lengths + n);
    for (int i = 0; q != NULL && i < KEY_COUNT; i++)
        due_args_add(args, q->keys[i], strlen(q->keys[i]));
    args->n_keys = args->n;
    return 0;
}

void due_args_add(struct due_args *args, const char *text, size_t len)
{
    assert(args->n < args->room);
    args->values[args->n] = text;
    args->lengths[args->n] = len;
    args->n++;
}

void due_args_add_word(struct due_args *args, const char *word)
{
    due_args_add(args, word, strlen(word));
}

void due_args_add_int(struct due_args *args, int64_t number)
{
    assert(args->n_numbers < args->room);
    char *text = args->numbers[args->n_numbers++];
    due_args_add(args, text, int_text(text, number));
}

void due_args_clear(struct due_args *args)
{
    free(args->values); /* and all else */
}

/* ---- calls ---- */

void due_op_finish(struct due_op *op, const char *error)
{
    TAILQ_REMOVE(&op->queue->ops, op, entry);
    op->queue = NULL;
    op->finish(op, error);
}

static void free_op(struct due_op *op)
{
    free(op);
}

struct due_op *due_op_new(size_t size, void (*finish)(struct due_op *op, const char *error))
{
    struct due_op *op = calloc(1, size);
    if (op == NULL)
        return NULL;
    op->finish = finish;
    op->destroy = free_op;
    return op;
}

bool due_op_send(struct due_queue *q, struct due_op *op, const struct lua_script *script,
                 const struct due_args *args, redis_link_cb *cb)
{
    if (q->link == NULL ||
        redis_link_script(q->link, cb, op, script, (int)args->n_keys, (int)(args->n - args->n_keys),
                          args->values, args->lengths) != 0)
        return false;
    op->script = script;
    op->sent_us = clock_mono_us();
    op->outstanding++;
    return true;
}

bool due_op_send_plain(struct due_queue *q, struct due_op *op, const struct due_args *args,
                       redis_link_cb *cb)
{
    if (q->link == NULL ||
        redis_link_command(q->link, cb, op, (int)args->n, args->values, args->lengths) != 0)
        return false;
    op->script = NULL;
    op->command = args->values[0];
    op->sent_us = clock_mono_us();
    op->outstanding++;
    return true;
}

int due_op_begin(struct due_queue *q, struct due_op *op)
{
    if (op->outstanding == 0) {
        op->destroy(op);
        return -1;
    }
    op->queue = q;
    TAILQ_INSERT_TAIL(&q->ops, op, entry);
    return 0;
}

/* Redis is there, and its answer is of no use. */
static void refuse(struct due_op *op, const char *error)
{
    if (op->error[0] != '\0')
        return;
    snprintf(op->error, sizeof(op->error), "%s", error);
    op->refused = true;
}

void due_op_fail(struct due_op *op, const char *error)
{
    if (strcmp(error, DUE_UNEXPECTED) == 0)
        refuse(op, error);
    else if (op->error[0] == '\0')
        snprintf(op->error, sizeof(op->error), "%s", error);
}

bool due_op_answered(struct due_op *op, const struct redis_reply *reply, const char *error)
{
    const struct due_refusal refusal = {
        .script = op->script,
        .command = op->command,
        .prefix = op->queue != NULL ? op->queue->prefix : "",
        .error = redis_reply_str(reply, NULL),
    };
    char text[sizeof(op->error)];
    if (reply != NULL && op->queue != NULL && op->queue->on_answered != NULL)
        op->queue->on_answered(op->queue->answered_arg, clock_mono_us() - op->sent_us);
    if (reply == NULL) {
        due_op_fail(op, error);
    } else if (redis_reply_useless(reply)) { /* the link is lost with it, and says so */
        due_op_fail(op, redis_reply_str(reply, NULL));
    } else if (redis_reply_type(reply) == REDIS_LINK_ERROR) {
        due_refusal_text(text, sizeof(text), &refusal);
        refuse(op, text);
    } else {
        return true;
    }
    return false;
}

size_t due_op_count(struct due_op *op, const struct redis_reply *reply, const char *error)
{
    if (!due_op_answered(op, reply, error))
        return 0;
    if (redis_reply_type(reply) == REDIS_LINK_INTEGER && redis_reply_int(reply) >= 0)
        return (size_t)redis_reply_int(reply);
    due_op_fail(op, DUE_UNEXPECTED);
    return 0;
}

void due_op_done(struct due_op *op)
{
    op->outstanding--;
    if (op->outstanding > 0)
        return;
    if (op->refused && op->queue != NULL && op->queue->on_refused != NULL)
        op->queue->on_refused(op->queue->refused_arg, op->error);
    if (op->queue != NULL)
        due_op_finish(op, op->error[0] != '\0' ? op->error : NULL);
    op->destroy(op);
}
