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

static void add_since(struct due_args *args, const struct due_settlement *item)
{
    if (item->since_ms > 0)
        due_args_add_int(args, item->since_ms);
    else
        due_args_add_word(args, "");
}

/* One script's ids, sorted by verdict. */
static int add_settlements(struct due_args *args, const struct due_queue *q,
                           const struct due_lease *lease, const struct due_settlement *items)
{
    size_t counts[DUE_KEPT + 1] = {0};
    size_t named = 0;
    for (size_t i = 0; i < lease->n; i++) {
        counts[items[i].verdict] += is_named(&items[i]);
        named += is_named(&items[i]);
    }
    if (due_args_begin(args, q, 9 + 4 * named) != 0)
        return -1;
    due_args_add_int(args, lease->lease_ms);
    due_args_add_int(args, DUE_QUEUE_FAILED_MAX);
    due_args_add_int(args, DUE_QUEUE_KEPT_MAX);
    for (int verdict = DUE_FORGET; verdict <= DUE_KEPT; verdict++)
        due_args_add_int(args, (int64_t)counts[verdict]);
    for (int verdict = DUE_FORGET; verdict <= DUE_KEPT; verdict++) {
        for (size_t i = 0; counts[verdict] > 0 && i < lease->n; i++) {
            if ((int)items[i].verdict != verdict || !is_named(&items[i]))
                continue;
            due_args_add(args, items[i].id, items[i].id_len);
            if (verdict != DUE_FORGET)
                due_args_add_int(args, items[i].at_ms);
            if (verdict >= DUE_FAILED)
                due_args_add(args, items[i].record, strlen(items[i].record));
            if (verdict == DUE_KEPT)
                add_since(args, &items[i]);
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

/* ---- without a claim ---- */

struct keep_op {
    struct due_op op;
    const struct due_settlement *items; /* the caller's */
    size_t n, sent, changed;
    due_count_cb *cb;
    void *arg;
};

static void finish_keep(struct due_op *base, const char *error)
{
    struct keep_op *op = (struct keep_op *)base;
    op->cb(op->arg, op->changed, error);
}

static void on_kept(void *arg, const struct redis_reply *reply, const char *error);

static bool send_keep(struct due_queue *q, struct keep_op *op)
{
    const size_t left = op->n - op->sent;
    const size_t part = left < DUE_QUEUE_FOURS_MAX ? left : DUE_QUEUE_FOURS_MAX;
    struct due_args args;
    if (due_args_begin(&args, q, 1 + 4 * part) != 0)
        return false;
    due_args_add_int(&args, DUE_QUEUE_KEPT_MAX);
    for (size_t i = op->sent; i < op->sent + part; i++) {
        const struct due_settlement *item = &op->items[i];
        due_args_add(&args, item->id, item->id_len);
        due_args_add_int(&args, item->at_ms);
        due_args_add(&args, item->record, strlen(item->record));
        add_since(&args, item);
    }
    bool sent = due_op_send(q, &op->op, &lua_keep, &args, on_kept);
    due_args_clear(&args);
    op->sent += part;
    return sent;
}

/* One call at a time, as entries.c has them. */
static void on_kept(void *arg, const struct redis_reply *reply, const char *error)
{
    struct keep_op *op = arg;
    op->changed += due_op_count(&op->op, reply, error);
    if (op->sent < op->n && op->op.queue != NULL && op->op.error[0] == '\0' &&
        !send_keep(op->op.queue, op))
        due_op_fail(&op->op, "Redis is down");
    due_op_done(&op->op);
}

int due_queue_keep(struct due_queue *q, const struct due_settlement *items, size_t n,
                   due_count_cb *cb, void *arg)
{
    struct due_op *base = due_op_new(sizeof(struct keep_op), finish_keep);
    struct keep_op *op = (struct keep_op *)base;
    if (op == NULL)
        return -1;
    op->items = items;
    op->n = n;
    op->cb = cb;
    op->arg = arg;
    send_keep(q, op);
    return due_op_begin(q, base);
}
