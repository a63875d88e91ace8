/* The due queue: going through all that it holds. No answer is trusted to be well-formed. */
#include "queue/lua_scripts.h"
#include "queue/single.h"

#include <stdlib.h>

#define SCAN_COUNT 1000

static bool are_pairs(const struct redis_reply *pairs)
{
    return redis_reply_type(pairs) == REDIS_LINK_ARRAY && redis_reply_len(pairs) % 2 == 0;
}

static bool add_found(const struct redis_reply *pairs, bool odd, struct due_found *to)
{
    for (size_t i = 0; i < redis_reply_len(pairs); i += 2, to++) {
        *to = (struct due_found){due_text_of(redis_reply_at(pairs, i)),
                                 due_text_of(redis_reply_at(pairs, i + 1)), odd};
        if (to->id.text == NULL || to->value.text == NULL)
            return false;
    }
    return true;
}

/* odd: NULL without. */
static const char *read_found(const struct redis_reply *pairs, const struct redis_reply *odd,
                              struct due_found **out, size_t *n)
{
    size_t n_pairs = redis_reply_len(pairs) / 2;
    size_t n_odd = odd != NULL ? redis_reply_len(odd) / 2 : 0;
    if (!are_pairs(pairs) || (odd != NULL && !are_pairs(odd)))
        return DUE_UNEXPECTED;
    *out = calloc(n_pairs + n_odd + 1, sizeof(**out));
    if (*out == NULL)
        return "out of memory";
    if (!add_found(pairs, false, *out) || (n_odd > 0 && !add_found(odd, true, *out + n_pairs)))
        return DUE_UNEXPECTED;
    *n = n_pairs + n_odd;
    return NULL;
}

static void finish_pending(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    struct due_found *found = NULL;
    size_t n = 0;
    if (error == NULL)
        error = read_found(op->reply, NULL, &found, &n);
    op->cb.pending(op->arg, error == NULL ? found : NULL, n, error);
    free(found);
}

int due_queue_pending(struct due_queue *q, const struct due_text *from, const struct due_text *id,
                      due_found_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_pending, 0, arg);
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.pending = cb;
    if (due_args_begin(&args, NULL, 8) != 0)
        return due_single_drop(op);
    if (id != NULL) {
        due_args_add_word(&args, q->keys[KEY_PENDING]);
        args.n_keys = 1;
        due_args_add(&args, id->text, id->len);
        due_args_add(&args, from->text, from->len);
        due_args_add_int(&args, DUE_QUEUE_SCRIPT_MAX);
        return due_single_send(q, op, &lua_after, &args);
    }
    due_args_add_word(&args, "ZRANGEBYSCORE");
    due_args_add_word(&args, q->keys[KEY_PENDING]);
    due_args_add(&args, from->text, from->len);
    due_args_add_word(&args, "+inf");
    due_args_add_word(&args, "WITHSCORES");
    due_args_add_word(&args, "LIMIT");
    due_args_add_word(&args, "0");
    due_args_add_int(&args, DUE_QUEUE_SCRIPT_MAX);
    return due_single_send_plain(q, op, &args);
}

static void finish_scan(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    const struct redis_reply *cursor = redis_reply_at(op->reply, 0);
    struct due_found *found = NULL;
    size_t n = 0;
    if (error == NULL && redis_reply_type(cursor) != REDIS_LINK_STRING)
        error = DUE_UNEXPECTED;
    if (error == NULL)
        error = read_found(redis_reply_at(op->reply, 1), redis_reply_at(op->reply, 2), &found, &n);
    op->cb.scan(op->arg, redis_reply_str(cursor, NULL), error == NULL ? found : NULL, n, error);
    free(found);
}

int due_queue_walk_leases(struct due_queue *q, const char *cursor, bool remove_odd,
                          due_walked_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_scan, 0, arg);
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.scan = cb;
    if (due_args_begin(&args, NULL, 3) != 0)
        return due_single_drop(op);
    due_args_add_word(&args, q->keys[KEY_LEASES]);
    args.n_keys = 1;
    due_args_add_word(&args, cursor);
    due_args_add_int(&args, remove_odd);
    return due_single_send(q, op, &lua_leases, &args);
}

int due_queue_retrieve(struct due_queue *q, const char *cursor, int64_t now_ms, int64_t latest_ms,
                       due_walked_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_scan, 0, arg);
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.scan = cb;
    if (due_args_begin(&args, q, 3) != 0)
        return due_single_drop(op);
    due_args_add_word(&args, cursor);
    due_args_add_int(&args, now_ms);
    due_args_add_int(&args, latest_ms);
    return due_single_send(q, op, &lua_retrieve, &args);
}

int due_queue_walk(struct due_queue *q, enum due_place place, const char *cursor, due_walked_cb *cb,
                   void *arg)
{
    static const struct {
        const char *command;
        int key;
    } places[] = {
        [DUE_IN_INFLIGHT] = {"ZSCAN", KEY_INFLIGHT},
        [DUE_IN_FAILED] = {"HSCAN", KEY_FAILED},
        [DUE_IN_KEPT] = {"HSCAN", KEY_KEPT},
    };
    const char *key = q->keys[places[place].key];
    struct due_single *op = due_single_new(finish_scan, 0, arg);
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.scan = cb;
    if (due_args_begin(&args, NULL, 5) != 0)
        return due_single_drop(op);
    due_args_add_word(&args, places[place].command);
    due_args_add_word(&args, key);
    due_args_add_word(&args, cursor);
    due_args_add_word(&args, "COUNT");
    due_args_add_int(&args, SCAN_COUNT);
    return due_single_send_plain(q, op, &args);
}
