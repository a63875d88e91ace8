/* The due queue: the keys of a pause, and the mark. */
#include "queue/pause_key.h"

#include "queue/lua_scripts.h"
#include "queue/single.h"

#include <stdio.h>

#define KEY_SIZE 128 /* a prefix has at most 64 bytes */

/* The texts of its two keys. */
struct pause_keys {
    char paused[KEY_SIZE], order[KEY_SIZE];
};

static void add_keys(const struct due_queue *q, struct pause_keys *keys, struct due_args *args)
{
    snprintf(keys->paused, sizeof(keys->paused), "%spaused", q->prefix);
    snprintf(keys->order, sizeof(keys->order), "%sorder", q->prefix);
    due_args_add_word(args, keys->paused);
    due_args_add_word(args, keys->order);
    args->n_keys = args->n;
}

static void add_text(struct due_args *args, const struct due_text *text)
{
    due_args_add(args, text->text != NULL ? text->text : "", text->text != NULL ? text->len : 0);
}

static void finish_paused(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    struct due_pause pause = {{NULL, 0}, {NULL, 0}};
    if (error == NULL && redis_reply_len(op->reply) != 2)
        error = DUE_UNEXPECTED;
    if (error == NULL) {
        pause.record = due_text_of(redis_reply_at(op->reply, 0));
        pause.order = due_text_of(redis_reply_at(op->reply, 1));
    }
    op->cb.paused(op->arg, error == NULL ? &pause : NULL, error);
}

int due_queue_paused(struct due_queue *q, due_pause_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_paused, 0, arg);
    struct pause_keys keys;
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.paused = cb;
    if (due_args_begin(&args, NULL, 2) != 0)
        return due_single_drop(op);
    add_keys(q, &keys, &args);
    return due_single_send(q, op, &lua_paused, &args);
}

static void finish_mark(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    struct due_mark mark = {{NULL, 0}, {{NULL, 0}, {NULL, 0}}};
    if (error == NULL && redis_reply_len(op->reply) != 3)
        error = DUE_UNEXPECTED;
    if (error == NULL) {
        mark.text = due_text_of(redis_reply_at(op->reply, 0));
        mark.pause.record = due_text_of(redis_reply_at(op->reply, 1));
        mark.pause.order = due_text_of(redis_reply_at(op->reply, 2));
    }
    op->cb.mark(op->arg, error == NULL ? &mark : NULL, error);
}

int due_queue_mark(struct due_queue *q, const char *name, due_mark_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_mark, 0, arg);
    struct pause_keys keys;
    struct due_args args;
    char key[KEY_SIZE];
    if (op == NULL)
        return -1;
    op->cb.mark = cb;
    if (due_args_begin(&args, NULL, 4) != 0)
        return due_single_drop(op);
    snprintf(key, sizeof(key), "%smark", q->prefix);
    due_args_add_word(&args, key);
    add_keys(q, &keys, &args);
    due_args_add_word(&args, name);
    return due_single_send(q, op, &lua_mark, &args);
}

static void finish_order(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    if (error == NULL && redis_reply_type(op->reply) != REDIS_LINK_INTEGER)
        error = DUE_UNEXPECTED;
    op->cb.given(op->arg, error == NULL && redis_reply_int(op->reply) != 0, error);
}

int due_queue_order(struct due_queue *q, const struct due_order *order, due_given_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_order, 0, arg);
    struct pause_keys keys;
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.given = cb;
    if (due_args_begin(&args, NULL, 8) != 0)
        return due_single_drop(op);
    add_keys(q, &keys, &args);
    add_text(&args, &order->seen->record);
    add_text(&args, &order->seen->order);
    due_args_add_word(&args, order->record != NULL ? order->record : "");
    due_args_add_int(&args, order->for_ms);
    due_args_add_int(&args, order->number);
    due_args_add_int(&args, order->kept_ms);
    return due_single_send(q, op, &lua_pause, &args);
}
