/* The due queue: what an operator does about its records. */
#include "queue/records.h"

#include "queue/lua_scripts.h"
#include "queue/single.h"

static bool is_count(const struct redis_reply *reply)
{
    return redis_reply_type(reply) == REDIS_LINK_INTEGER && redis_reply_int(reply) >= 0;
}

static void finish_retry(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    const struct redis_reply *retried = redis_reply_at(op->reply, 0);
    const struct redis_reply *claimed = redis_reply_at(op->reply, 1);
    if (error == NULL && (!is_count(retried) || !is_count(claimed)))
        error = DUE_UNEXPECTED;
    if (error != NULL)
        op->cb.retried(op->arg, 0, 0, error);
    else
        op->cb.retried(op->arg, (size_t)redis_reply_int(retried), (size_t)redis_reply_int(claimed),
                       NULL);
}

static void finish_forget(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    if (error == NULL && !is_count(op->reply))
        error = DUE_UNEXPECTED;
    op->cb.count(op->arg, error == NULL ? (size_t)redis_reply_int(op->reply) : 0, error);
}

/* -1, and the op is gone: memory ran out. */
static int add_entries(struct due_queue *q, struct due_single *op, struct due_args *args,
                       const struct due_entry *entries, size_t n)
{
    if (due_args_begin(args, q, 2 * n) != 0)
        return due_single_drop(op);
    for (size_t i = 0; i < n; i++) {
        due_args_add_int(args, entries[i].at_ms);
        due_args_add(args, entries[i].id, entries[i].id_len);
    }
    return 0;
}

int due_queue_retry(struct due_queue *q, const struct due_entry *entries, size_t n,
                    due_retried_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_retry, n, arg);
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.retried = cb;
    if (add_entries(q, op, &args, entries, n) != 0)
        return -1;
    return due_single_send(q, op, &lua_retry, &args);
}

int due_queue_forget(struct due_queue *q, const struct due_entry *entries, size_t n,
                     due_count_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_forget, n, arg);
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.count = cb;
    if (add_entries(q, op, &args, entries, n) != 0)
        return -1;
    return due_single_send(q, op, &lua_forget, &args);
}
