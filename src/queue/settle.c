/* The due queue: what becomes of claimed ids. */
#include "queue/call.h"
#include "queue/lua_scripts.h"

#include <assert.h>
#include <string.h>

#define SETTLE_MAX 5000

static size_t part_of(size_t n)
{
    return n < DUE_QUEUE_SCRIPT_MAX ? n : DUE_QUEUE_SCRIPT_MAX;
}

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
    op->lost += due_op_count(&op->op, reply, error);
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
