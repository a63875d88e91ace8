/* Calls that are one script or command with one answer. */
#include "queue/single.h"

#include <assert.h>

static void on_reply(void *arg, const struct redis_reply *reply, const char *error)
{
    struct due_single *op = arg;
    if (due_op_answered(&op->op, reply, error))
        op->reply = reply;
    due_op_done(&op->op);
}

struct due_single *due_single_new(void (*finish)(struct due_op *op, const char *error), size_t n,
                                  void *arg)
{
    struct due_single *op = (struct due_single *)due_op_new(sizeof(struct due_single), finish);
    assert(n <= DUE_QUEUE_SCRIPT_MAX);
    if (op == NULL)
        return NULL;
    op->n = n;
    op->arg = arg;
    return op;
}

int due_single_send(struct due_queue *q, struct due_single *op, const struct lua_script *script,
                    struct due_args *args)
{
    due_op_send(q, &op->op, script, args, on_reply);
    due_args_clear(args);
    return due_op_begin(q, &op->op);
}

int due_single_send_plain(struct due_queue *q, struct due_single *op, struct due_args *args)
{
    due_op_send_plain(q, &op->op, args, on_reply);
    due_args_clear(args);
    return due_op_begin(q, &op->op);
}

int due_single_drop(struct due_single *op)
{
    op->op.destroy(&op->op);
    return -1;
}

struct due_text due_text_of(const struct redis_reply *r)
{
    struct due_text text = {NULL, 0};
    if (redis_reply_type(r) == REDIS_LINK_STRING)
        text.text = redis_reply_str(r, &text.len);
    return text;
}
