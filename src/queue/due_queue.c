/* The due queue: its keys, what every call of it goes through, and roles. */
#include "queue/due_queue.h"

#include "queue/due_queue_private.h"
#include "queue/lua_scripts.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the queue ---- */

static char *format_key(const char *prefix, const char *name)
{
    size_t size = strlen(prefix) + strlen(name) + 1;
    char *key = malloc(size);

    if (key != NULL)
        snprintf(key, size, "%s%s", prefix, name);
    return key;
}

struct due_queue *due_queue_new(struct redis_link *link, const char *prefix)
{
    static const char *const names[KEY_COUNT] = {"pending", "inflight", "failed"};
    struct due_queue *q = calloc(1, sizeof(*q));
    size_t size = strlen(prefix) + sizeof("{}:");

    if (q == NULL)
        return NULL;
    q->link = link;
    TAILQ_INIT(&q->ops);
    q->prefix = malloc(size);
    if (q->prefix == NULL)
        goto fail;
    snprintf(q->prefix, size, "{%s}:", prefix);
    for (int i = 0; i < KEY_COUNT; i++) {
        q->keys[i] = format_key(q->prefix, names[i]);
        if (q->keys[i] == NULL)
            goto fail;
    }
    return q;
fail:
    due_queue_free(q);
    return NULL;
}

static void finish_op(struct due_op *op, const char *error)
{
    TAILQ_REMOVE(&op->queue->ops, op, entry);
    op->queue = NULL;
    op->finish(op, error);
}

void due_queue_free(struct due_queue *q)
{
    if (q == NULL)
        return;
    q->link = NULL; /* callers that try again at once are refused */
    while (!TAILQ_EMPTY(&q->ops))
        finish_op(TAILQ_FIRST(&q->ops), "the queue was closed");
    for (int i = 0; i < KEY_COUNT; i++)
        free(q->keys[i]);
    free(q->prefix);
    free(q);
}

/* ---- arguments ---- */

int due_args_begin(struct due_args *args, const struct due_queue *q, size_t room)
{
    size_t n = room + KEY_COUNT;

    memset(args, 0, sizeof(*args));
    args->values = calloc(n, sizeof(*args->values));
    args->lengths = calloc(n, sizeof(*args->lengths));
    args->numbers = calloc(n, sizeof(*args->numbers));
    if (args->values == NULL || args->lengths == NULL || args->numbers == NULL) {
        due_args_clear(args);
        return -1;
    }
    for (int i = 0; q != NULL && i < KEY_COUNT; i++)
        due_args_add(args, q->keys[i], strlen(q->keys[i]));
    args->n_keys = args->n;
    return 0;
}

void due_args_add(struct due_args *args, const char *text, size_t len)
{
    args->values[args->n] = text;
    args->lengths[args->n] = len;
    args->n++;
}

void due_args_add_int(struct due_args *args, int64_t number)
{
    char *text = args->numbers[args->n_numbers++];
    int len = snprintf(text, sizeof(*args->numbers), "%" PRId64, number);

    due_args_add(args, text, (size_t)len);
}

void due_args_clear(struct due_args *args)
{
    free(args->values);
    free(args->lengths);
    free(args->numbers);
}

/* ---- calls ---- */

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

void due_op_done(struct due_op *op)
{
    op->outstanding--;
    if (op->outstanding > 0)
        return;
    if (op->refused && op->queue != NULL && op->queue->on_refused != NULL)
        op->queue->on_refused(op->queue->refused_arg, op->error);
    if (op->queue != NULL)
        finish_op(op, op->error[0] != '\0' ? op->error : NULL);
    op->destroy(op);
}

void due_queue_on_refused(struct due_queue *q, void (*cb)(void *arg, const char *reason), void *arg)
{
    q->on_refused = cb;
    q->refused_arg = arg;
}

/* ---- roles ---- */

struct role_op {
    struct due_op op;
    void (*on_role)(void *arg, bool held, int64_t remaining_ms, const char *owner,
                    const char *error);
    void (*on_release)(void *arg, const char *error);
    void *arg;
    bool held;
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
        op->on_role(op->arg, error == NULL && op->held, error == NULL ? op->remaining_ms : 0,
                    error == NULL ? op->owner : "", error);
    else if (op->on_release != NULL)
        op->on_release(op->arg, error);
}

static void on_role_reply(void *arg, const struct redis_reply *reply, const char *error)
{
    struct role_op *op = arg;

    if (due_op_answered(&op->op, reply, error)) {
        const struct redis_reply *held = redis_reply_at(reply, 0);
        const struct redis_reply *remaining = redis_reply_at(reply, 1);
        const struct redis_reply *owner = redis_reply_at(reply, 2);

        op->held = redis_reply_int(held) != 0;
        op->remaining_ms = redis_reply_int(remaining);
        op->owner = strdup(redis_reply_str(owner, NULL));
        if (redis_reply_type(held) != REDIS_LINK_INTEGER ||
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

static int send_role(struct due_queue *q, struct role_op *op, const char *role, const char *holder,
                     int64_t ttl_ms)
{
    char *key = format_key(q->prefix, role);
    struct due_args args;

    if (key != NULL && due_args_begin(&args, NULL, 3) == 0) {
        due_args_add(&args, key, strlen(key));
        args.n_keys = 1;
        due_args_add(&args, holder, strlen(holder));
        due_args_add_int(&args, ttl_ms);
        due_op_send(q, &op->op, &lua_role, &args, on_role_reply);
        due_args_clear(&args);
    }
    free(key);
    return due_op_begin(q, &op->op);
}

int due_queue_role(struct due_queue *q, const char *role, const char *holder, int64_t ttl_ms,
                   void (*cb)(void *arg, bool held, int64_t remaining_ms, const char *owner,
                              const char *error),
                   void *arg)
{
    struct role_op *op = new_role(arg);

    assert(ttl_ms > 0);
    if (op == NULL)
        return -1;
    op->on_role = cb;
    return send_role(q, op, role, holder, ttl_ms);
}

int due_queue_role_release(struct due_queue *q, const char *role, const char *holder,
                           void (*cb)(void *arg, const char *error), void *arg)
{
    struct role_op *op = new_role(arg);

    if (op == NULL)
        return -1;
    op->on_release = cb;
    return send_role(q, op, role, holder, 0);
}
