/* The due queue: roles, each a key of its own that one sweeper has for a while (lua/role.lua). */
#include "queue/call.h"
#include "queue/lua_scripts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct role_op {
    struct due_op op;
    due_role_cb *on_role;
    due_error_cb *on_release;
    void *arg;
    bool ours;
    int64_t remaining_ms;
    char *owner;
};

static void destroy_role(struct due_op *base)
{
    struct role_op *op = (struct role_op *)base;
    free(op->owner);
    free(op);
}

static void finish_role(struct due_op *base, const char *error)
{
    struct role_op *op = (struct role_op *)base;
    if (op->on_role != NULL)
        op->on_role(op->arg, error == NULL && op->ours, error == NULL ? op->remaining_ms : 0,
                    error == NULL ? op->owner : "", error);
    else if (op->on_release != NULL)
        op->on_release(op->arg, error);
}

static void on_role_reply(void *arg, const struct redis_reply *reply, const char *error)
{
    struct role_op *op = arg;
    if (due_op_answered(&op->op, reply, error)) {
        const struct redis_reply *ours = redis_reply_at(reply, 0);
        const struct redis_reply *remaining = redis_reply_at(reply, 1);
        const struct redis_reply *owner = redis_reply_at(reply, 2);
        op->ours = redis_reply_int(ours) != 0;
        op->remaining_ms = redis_reply_int(remaining);
        op->owner = strdup(redis_reply_str(owner, NULL));
        if (redis_reply_type(ours) != REDIS_LINK_INTEGER ||
            redis_reply_type(remaining) != REDIS_LINK_INTEGER || op->remaining_ms < 0 ||
            redis_reply_type(owner) != REDIS_LINK_STRING)
            due_op_fail(&op->op, DUE_UNEXPECTED);
        else if (op->owner == NULL)
            due_op_fail(&op->op, "out of memory");
    }
    due_op_done(&op->op);
}

static struct role_op *new_role(void *arg)
{
    struct due_op *base = due_op_new(sizeof(struct role_op), finish_role);
    struct role_op *op = (struct role_op *)base;
    if (op == NULL)
        return NULL;
    base->destroy = destroy_role;
    op->arg = arg;
    return op;
}

static int send_role(struct due_queue *q, struct role_op *op, const char *role, const char *name,
                     int64_t ttl_ms)
{
    char *key = due_queue_key(q, role);
    struct due_args args;
    if (key != NULL && due_args_begin(&args, NULL, 3) == 0) {
        due_args_add(&args, key, strlen(key));
        args.n_keys = 1;
        due_args_add(&args, name, strlen(name));
        due_args_add_int(&args, ttl_ms);
        due_op_send(q, &op->op, &lua_role, &args, on_role_reply);
        due_args_clear(&args);
    }
    free(key);
    return due_op_begin(q, &op->op);
}

int due_queue_role(struct due_queue *q, const char *role, const char *name, int64_t ttl_ms,
                   due_role_cb *cb, void *arg)
{
    struct role_op *op = new_role(arg);
    assert(ttl_ms > 0);
    if (op == NULL)
        return -1;
    op->on_role = cb;
    return send_role(q, op, role, name, ttl_ms);
}

int due_queue_role_owner(struct due_queue *q, const char *role, due_role_cb *cb, void *arg)
{
    struct role_op *op = new_role(arg);
    if (op == NULL)
        return -1;
    op->on_role = cb;
    return send_role(q, op, role, "", 0); /* which is nobody's name, and gives nothing up */
}

int due_queue_role_release(struct due_queue *q, const char *role, const char *name,
                           due_error_cb *cb, void *arg)
{
    struct role_op *op = new_role(arg);
    if (op == NULL)
        return -1;
    op->on_release = cb;
    return send_role(q, op, role, name, 0);
}
