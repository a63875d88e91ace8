/* The due queue: what becomes of claimed ids, and entries that come and go without a claim. */
#include "queue/call.h"
#include "queue/lua_scripts.h"

#include <assert.h>
#include <string.h>

#define SETTLE_MAX 5000

static size_t part_of(size_t n)
{
    return n < DUE_QUEUE_SCRIPT_MAX ? n : DUE_QUEUE_SCRIPT_MAX;
}

/* The count that settle.lua, schedule.lua and drop.lua answer with. */
static size_t read_count(struct due_op *op, const struct redis_reply *reply, const char *error)
{
    if (!due_op_answered(op, reply, error))
        return 0;
    if (redis_reply_type(reply) == REDIS_LINK_INTEGER && redis_reply_int(reply) >= 0)
        return (size_t)redis_reply_int(reply);
    due_op_fail(op, DUE_UNEXPECTED);
    return 0;
}

/* ---- settlements ---- */

struct settle_op {
    struct due_op op;
    size_t n, lost;
    due_settled_cb *cb;
    void *arg;
};

static void finish_settle(struct due_op *base, const char *error)
{
    struct settle_op *op = (struct settle_op *)base;
    op->cb(op->arg, op->n, op->lost, error);
}

static void on_settled(void *arg, const struct redis_reply *reply, const char *error)
{
    struct settle_op *op = arg;
    op->lost += read_count(&op->op, reply, error);
    due_op_done(&op->op);
}

/* One script's ids, sorted by verdict. */
static int add_settlements(struct due_args *args, const struct due_queue *q, int64_t lease_ms,
                           const struct due_settlement *items, size_t n)
{
    size_t counts[DUE_DEFERRED + 1] = {0};
    for (size_t i = 0; i < n; i++)
        counts[items[i].verdict]++;
    if (due_args_begin(args, q, 7 + 3 * n) != 0)
        return -1;
    due_args_add_int(args, lease_ms);
    due_args_add_int(args, DUE_QUEUE_FAILED_MAX);
    for (int verdict = DUE_FORGET; verdict <= DUE_DEFERRED; verdict++)
        due_args_add_int(args, (int64_t)counts[verdict]);
    for (int verdict = DUE_FORGET; verdict <= DUE_DEFERRED; verdict++) {
        for (size_t i = 0; i < n; i++) {
            if ((int)items[i].verdict != verdict)
                continue;
            due_args_add(args, items[i].id, items[i].id_len);
            if (verdict != DUE_FORGET)
                due_args_add_int(args, items[i].at_ms);
            if (verdict >= DUE_FAILED)
                due_args_add(args, items[i].record, strlen(items[i].record));
        }
    }
    return 0;
}

int due_queue_settle(struct due_queue *q, int64_t lease_ms, const struct due_settlement *items,
                     size_t n, due_settled_cb *cb, void *arg)
{
    struct due_op *base = due_op_new(sizeof(struct settle_op), finish_settle);
    struct settle_op *op = (struct settle_op *)base;
    struct due_args args;
    size_t done = 0;
    assert(n <= SETTLE_MAX);
    if (op == NULL)
        return -1;
    op->n = n;
    op->cb = cb;
    op->arg = arg;
    do { /* even for no ids at all: the callback comes with an answer */
        size_t part = part_of(n - done);
        bool sent = false;
        if (add_settlements(&args, q, lease_ms, items + done, part) == 0) {
            sent = due_op_send(q, base, &lua_settle, &args, on_settled);
            due_args_clear(&args);
        }
        if (!sent) {
            due_op_fail(base, "not all settlements could be sent");
            break;
        }
        done += part;
    } while (done < n);
    return due_op_begin(q, base);
}

/* ---- entries without a claim ---- */

struct entries_op {
    struct due_op op;
    const struct lua_script *script;
    const struct due_entry *entries; /* the caller's */
    size_t n, sent, changed;
    due_count_cb *cb;
    void *arg;
};

static void finish_entries(struct due_op *base, const char *error)
{
    struct entries_op *op = (struct entries_op *)base;
    op->cb(op->arg, op->changed, error);
}

static void on_entries(void *arg, const struct redis_reply *reply, const char *error);

static bool send_entries(struct due_queue *q, struct entries_op *op)
{
    size_t part = part_of(op->n - op->sent);
    struct due_args args;
    bool sent;
    if (due_args_begin(&args, q, 2 * part) != 0)
        return false;
    for (size_t i = op->sent; i < op->sent + part; i++) {
        if (op->script == &lua_schedule)
            due_args_add_int(&args, op->entries[i].at_ms);
        due_args_add(&args, op->entries[i].id, op->entries[i].id_len);
    }
    sent = due_op_send(q, &op->op, op->script, &args, on_entries);
    due_args_clear(&args);
    op->sent += part;
    return sent;
}

/* The next script goes out when the last one has answered: never more than one at a time, and none
 * after a failure or once the caller is gone. */
static void on_entries(void *arg, const struct redis_reply *reply, const char *error)
{
    struct entries_op *op = arg;
    op->changed += read_count(&op->op, reply, error);
    if (op->sent < op->n && op->op.queue != NULL && op->op.error[0] == '\0' &&
        !send_entries(op->op.queue, op))
        due_op_fail(&op->op, "Redis is down");
    due_op_done(&op->op);
}

static int begin_entries(struct due_queue *q, const struct lua_script *script,
                         const struct due_entry *entries, size_t n, due_count_cb *cb, void *arg)
{
    struct due_op *base = due_op_new(sizeof(struct entries_op), finish_entries);
    struct entries_op *op = (struct entries_op *)base;
    if (op == NULL)
        return -1;
    op->script = script;
    op->entries = entries;
    op->n = n;
    op->cb = cb;
    op->arg = arg;
    send_entries(q, op);
    return due_op_begin(q, base);
}

int due_queue_schedule(struct due_queue *q, const struct due_entry *entries, size_t n,
                       due_count_cb *cb, void *arg)
{
    return begin_entries(q, &lua_schedule, entries, n, cb, arg);
}

int due_queue_drop(struct due_queue *q, const struct due_entry *entries, size_t n, due_count_cb *cb,
                   void *arg)
{
    return begin_entries(q, &lua_drop, entries, n, cb, arg);
}
