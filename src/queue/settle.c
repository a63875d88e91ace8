/* The due queue: what becomes of claimed ids. */
#include "queue/call.h"
#include "queue/lua_scripts.h"

#include <assert.h>
#include <string.h>

struct settle_op {
    struct due_op op;
    size_t lease_ns[DUE_QUEUE_LEASES_MAX]; /* ids of each script's lease, in order */
    size_t n_answers;
    size_t n, lost; /* ids */
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
    size_t n = op->lease_ns[op->n_answers++];
    size_t ours = due_op_count(&op->op, reply, error);
    if (ours > 1)
        due_op_fail(&op->op, DUE_UNEXPECTED);
    else if (ours == 0 && op->op.error[0] == '\0')
        op->lost += n;
    due_op_done(&op->op);
}

/* Whether the script has to be told of it: a batch is forgotten as a whole. */
static bool is_named(const struct due_settlement *item)
{
    return item->verdict != DUE_FORGET || item->recorded;
}

/* One script's ids, sorted by verdict. */
static int add_settlements(struct due_args *args, const struct due_queue *q,
                           const struct due_lease *lease, const struct due_settlement *items)
{
    size_t counts[DUE_DEFERRED + 1] = {0};
    size_t named = 0;
    for (size_t i = 0; i < lease->n; i++) {
        counts[items[i].verdict] += is_named(&items[i]);
        named += is_named(&items[i]);
    }
    if (due_args_begin(args, q, 7 + 3 * named) != 0)
        return -1;
    due_args_add_int(args, lease->lease_ms);
    due_args_add_int(args, DUE_QUEUE_FAILED_MAX);
    for (int verdict = DUE_FORGET; verdict <= DUE_DEFERRED; verdict++)
        due_args_add_int(args, (int64_t)counts[verdict]);
    for (int verdict = DUE_FORGET; verdict <= DUE_DEFERRED; verdict++) {
        for (size_t i = 0; counts[verdict] > 0 && i < lease->n; i++) {
            if ((int)items[i].verdict != verdict || !is_named(&items[i]))
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

int due_queue_settle(struct due_queue *q, const struct due_lease *leases, size_t n_leases,
                     const struct due_settlement *items, due_settled_cb *cb, void *arg)
{
    struct due_op *base = due_op_new(sizeof(struct settle_op), finish_settle);
    struct settle_op *op = (struct settle_op *)base;
    struct due_args args;
    assert(n_leases >= 1 && n_leases <= DUE_QUEUE_LEASES_MAX);
    if (op == NULL)
        return -1;
    op->cb = cb;
    op->arg = arg;
    for (size_t i = 0; i < n_leases; i++) {
        assert(leases[i].n >= 1 && leases[i].n <= DUE_QUEUE_SCRIPT_MAX);
        op->lease_ns[i] = leases[i].n;
        op->n += leases[i].n;
    }
    for (size_t i = 0; i < n_leases; i++) {
        bool sent = false;
        if (add_settlements(&args, q, &leases[i], items) == 0) {
            sent = due_op_send(q, base, &lua_settle, &args, on_settled);
            due_args_clear(&args);
        }
        if (!sent) {
            due_op_fail(base, "not all settlements could be sent");
            break;
        }
        items += leases[i].n;
    }
    return due_op_begin(q, base);
}
