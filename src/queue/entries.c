/* The due queue: entries that come and go without a claim.
 *
 * There are two ways into :pending. What is not due yet is neither claimed nor refused, so no
 * script has to look: a plain ZADD takes half of Redis's time. The rest goes through schedule.lua.
 * Which is which the caller says, by time. */
#include "queue/call.h"
#include "queue/lua_scripts.h"

#include <string.h>

struct entries_op {
    struct due_op op;
    const struct lua_script *script;
    const struct due_entry *entries; /* the caller's */
    size_t n, sent, changed;
    int64_t script_until_ms; /* of schedule.lua: what is later goes by ZADD */
    due_count_cb *cb;
    void *arg;
};

static void finish_entries(struct due_op *base, const char *error)
{
    struct entries_op *op = (struct entries_op *)base;
    op->cb(op->arg, op->changed, error);
}

static bool is_plain(const struct entries_op *op, size_t i)
{
    return op->script == &lua_schedule && op->entries[i].at_ms > op->script_until_ms;
}

/* How many may go next, all in the same way: none when there are none at all. */
static size_t next_part(const struct entries_op *op)
{
    size_t n = 0;
    while (op->sent + n < op->n && n < DUE_QUEUE_SCRIPT_MAX &&
           is_plain(op, op->sent + n) == is_plain(op, op->sent))
        n++;
    return n;
}

static void add_entries(struct due_args *args, const struct entries_op *op, size_t part)
{
    for (size_t i = op->sent; i < op->sent + part; i++) {
        if (op->script == &lua_schedule)
            due_args_add_int(args, op->entries[i].at_ms);
        due_args_add(args, op->entries[i].id, op->entries[i].id_len);
    }
}

static void on_entries(void *arg, const struct redis_reply *reply, const char *error);

static bool send_plain(struct due_queue *q, struct entries_op *op, size_t part)
{
    struct due_args args;
    if (due_args_begin(&args, NULL, 4 + 2 * part) != 0)
        return false;
    due_args_add_word(&args, "ZADD");
    due_args_add_word(&args, q->keys[KEY_PENDING]);
    due_args_add_word(&args, "LT");
    due_args_add_word(&args, "CH");
    add_entries(&args, op, part);
    bool sent = due_op_send_plain(q, &op->op, &args, on_entries);
    due_args_clear(&args);
    return sent;
}

static bool send_script(struct due_queue *q, struct entries_op *op, size_t part)
{
    struct due_args args;
    if (due_args_begin(&args, q, 2 * part) != 0)
        return false;
    add_entries(&args, op, part);
    bool sent = due_op_send(q, &op->op, op->script, &args, on_entries);
    due_args_clear(&args);
    return sent;
}

static bool send_entries(struct due_queue *q, struct entries_op *op)
{
    size_t part = next_part(op);
    bool sent =
        part > 0 && is_plain(op, op->sent) ? send_plain(q, op, part) : send_script(q, op, part);
    op->sent += part;
    return sent;
}

/* The next ones go out when the last have been answered: never more than one call at a time, and
 * none after a failure or once the caller is gone. */
static void on_entries(void *arg, const struct redis_reply *reply, const char *error)
{
    struct entries_op *op = arg;
    op->changed += due_op_count(&op->op, reply, error);
    if (op->sent < op->n && op->op.queue != NULL && op->op.error[0] == '\0' &&
        !send_entries(op->op.queue, op))
        due_op_fail(&op->op, "Redis is down");
    due_op_done(&op->op);
}

static int begin_entries(struct due_queue *q, struct entries_op call)
{
    struct due_op *base = due_op_new(sizeof(call), finish_entries);
    struct entries_op *op = (struct entries_op *)base;
    if (op == NULL)
        return -1;
    call.op = *base;
    *op = call;
    send_entries(q, op);
    return due_op_begin(q, base);
}

int due_queue_schedule(struct due_queue *q, const struct due_entry *entries, size_t n,
                       int64_t script_until_ms, due_count_cb *cb, void *arg)
{
    const struct entries_op call = {.script = &lua_schedule,
                                    .entries = entries,
                                    .n = n,
                                    .script_until_ms = script_until_ms,
                                    .cb = cb,
                                    .arg = arg};
    return begin_entries(q, call);
}

int due_queue_drop(struct due_queue *q, const struct due_entry *entries, size_t n, due_count_cb *cb,
                   void *arg)
{
    const struct entries_op call = {
        .script = &lua_drop, .entries = entries, .n = n, .cb = cb, .arg = arg};
    return begin_entries(q, call);
}
