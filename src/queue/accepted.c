/* The due queue: what a first run was accepted with (release/first_run.h), a key without an end. */
#include "queue/single.h"

#include <stdlib.h>

static int begin(struct due_queue *q, struct due_single *op, const char *command, const char *text)
{
    struct due_args args;
    char *key = due_queue_key(q, "accepted");
    if (key == NULL || due_args_begin(&args, NULL, 3) != 0) {
        free(key);
        return due_single_drop(op);
    }
    due_args_add_word(&args, command);
    due_args_add_word(&args, key);
    if (text != NULL)
        due_args_add_word(&args, text);
    int rc = due_single_send_plain(q, op, &args);
    free(key);
    return rc;
}

static void finish_read(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    struct due_text text = {NULL, 0};
    if (error == NULL)
        text = due_text_of(op->reply);
    if (error == NULL && text.text == NULL && redis_reply_type(op->reply) != REDIS_LINK_NIL)
        error = DUE_UNEXPECTED;
    op->cb.accepted(op->arg, text.text != NULL ? text.text : "", error);
}

int due_queue_accepted(struct due_queue *q, due_accepted_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_read, 0, arg);
    if (op == NULL)
        return -1;
    op->cb.accepted = cb;
    return begin(q, op, "GET", NULL);
}

static void finish_write(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    op->cb.add(op->arg, error);
}

int due_queue_accept(struct due_queue *q, const char *text, due_error_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_write, 0, arg);
    if (op == NULL)
        return -1;
    op->cb.add = cb;
    return begin(q, op, "SET", text);
}
