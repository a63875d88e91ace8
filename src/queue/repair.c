/* The due queue, as a reconciliation sees it. No answer is trusted to be well-formed. */
#include "base/parse.h"
#include "queue/lua_scripts.h"
#include "queue/single.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- comparing ---- */

static const char *read_scores(const struct due_single *op, int64_t **out)
{
    if (redis_reply_type(op->reply) != REDIS_LINK_ARRAY || redis_reply_len(op->reply) != op->n)
        return DUE_UNEXPECTED;
    *out = calloc(op->n + 1, sizeof(**out));
    if (*out == NULL)
        return "out of memory";
    for (size_t i = 0; i < op->n; i++) {
        const struct redis_reply *score = redis_reply_at(op->reply, i);
        size_t len;
        const char *text = redis_reply_str(score, &len);
        (*out)[i] = DUE_NOWHERE;
        if (redis_reply_type(score) != REDIS_LINK_NIL && parse_score_ms(text, len, &(*out)[i]) != 0)
            return DUE_UNEXPECTED;
    }
    return NULL;
}

static void finish_scores(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    int64_t *scores_ms = NULL;
    if (error == NULL)
        error = read_scores(op, &scores_ms);
    op->cb.scores(op->arg, error == NULL ? scores_ms : NULL, error == NULL ? op->n : 0, error);
    free(scores_ms);
}

int due_queue_scores(struct due_queue *q, const struct due_entry *entries, size_t n,
                     due_scores_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_scores, n, arg);
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.scores = cb;
    if (due_args_begin(&args, NULL, 2 + n) != 0)
        return due_single_drop(op);
    due_args_add_word(&args, "ZMSCORE");
    due_args_add_word(&args, q->keys[KEY_PENDING]);
    for (size_t i = 0; i < n; i++)
        due_args_add(&args, entries[i].id, entries[i].id_len);
    return due_single_send_plain(q, op, &args);
}

static const char *read_indexes(const struct due_single *op, size_t **out, size_t *n)
{
    size_t len = redis_reply_len(op->reply);
    if (redis_reply_type(op->reply) != REDIS_LINK_ARRAY || len > op->n)
        return DUE_UNEXPECTED;
    *out = calloc(len + 1, sizeof(**out));
    if (*out == NULL)
        return "out of memory";
    for (size_t i = 0; i < len; i++) {
        int64_t position = redis_reply_int(redis_reply_at(op->reply, i));
        if (position < 1 || (uint64_t)position > op->n ||
            (i > 0 && (size_t)position - 1 <= (*out)[i - 1]))
            return DUE_UNEXPECTED;
        (*out)[i] = (size_t)position - 1;
    }
    *n = len;
    return NULL;
}

static void finish_indexes(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    size_t *indexes = NULL;
    size_t n = 0;
    if (error == NULL)
        error = read_indexes(op, &indexes, &n);
    op->cb.indexes(op->arg, error == NULL ? indexes : NULL, n, error);
    free(indexes);
}

int due_queue_absent(struct due_queue *q, const struct due_entry *entries, size_t n,
                     due_indexes_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_indexes, n, arg);
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.indexes = cb;
    if (due_args_begin(&args, q, n) != 0)
        return due_single_drop(op);
    for (size_t i = 0; i < n; i++)
        due_args_add(&args, entries[i].id, entries[i].id_len);
    return due_single_send(q, op, &lua_absent, &args);
}

static void finish_add(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    op->cb.add(op->arg, error);
}

int due_queue_add(struct due_queue *q, const struct due_entry *entries, size_t n, due_error_cb *cb,
                  void *arg)
{
    struct due_single *op = due_single_new(finish_add, n, arg);
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.add = cb;
    if (due_args_begin(&args, NULL, 3 + 2 * n) != 0)
        return due_single_drop(op);
    due_args_add_word(&args, "ZADD");
    due_args_add_word(&args, q->keys[KEY_PENDING]);
    due_args_add_word(&args, "NX");
    for (size_t i = 0; i < n; i++) {
        due_args_add_int(&args, entries[i].at_ms);
        due_args_add(&args, entries[i].id, entries[i].id_len);
    }
    return due_single_send_plain(q, op, &args);
}

/* ---- examining ---- */

static const char *read_states(const struct due_single *op, struct due_state **out)
{
    const struct redis_reply *lists[4];
    for (size_t i = 0; i < 4; i++) {
        lists[i] = redis_reply_at(op->reply, i);
        if (redis_reply_len(lists[i]) != op->n)
            return DUE_UNEXPECTED;
    }
    *out = calloc(op->n + 1, sizeof(**out));
    if (*out == NULL)
        return "out of memory";
    for (size_t i = 0; i < op->n; i++)
        (*out)[i] = (struct due_state){
            due_text_of(redis_reply_at(lists[0], i)), due_text_of(redis_reply_at(lists[1], i)),
            due_text_of(redis_reply_at(lists[2], i)), due_text_of(redis_reply_at(lists[3], i))};
    return NULL;
}

static void finish_lookup(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    struct due_state *states = NULL;
    if (error == NULL)
        error = read_states(op, &states);
    op->cb.lookup(op->arg, error == NULL ? states : NULL, error == NULL ? op->n : 0, error);
    free(states);
}

int due_queue_lookup(struct due_queue *q, const struct due_entry *entries, size_t n,
                     due_states_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_lookup, n, arg);
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.lookup = cb;
    if (due_args_begin(&args, q, n) != 0)
        return due_single_drop(op);
    for (size_t i = 0; i < n; i++)
        due_args_add(&args, entries[i].id, entries[i].id_len);
    return due_single_send(q, op, &lua_lookup, &args);
}

/* ---- repairing ---- */

static const char *read_repaired(const struct due_single *op, bool **out)
{
    if (redis_reply_type(op->reply) != REDIS_LINK_ARRAY || redis_reply_len(op->reply) != op->n)
        return DUE_UNEXPECTED;
    *out = calloc(op->n + 1, sizeof(**out));
    if (*out == NULL)
        return "out of memory";
    for (size_t i = 0; i < op->n; i++)
        (*out)[i] = redis_reply_int(redis_reply_at(op->reply, i)) != 0;
    return NULL;
}

static void finish_repair(struct due_op *base, const char *error)
{
    struct due_single *op = (struct due_single *)base;
    bool *repaired = NULL;
    if (error == NULL)
        error = read_repaired(op, &repaired);
    op->cb.repair(op->arg, error == NULL ? repaired : NULL, error == NULL ? op->n : 0, error);
    free(repaired);
}

int due_queue_repair(struct due_queue *q, const struct due_repair *repairs, size_t n,
                     due_repaired_cb *cb, void *arg)
{
    struct due_single *op = due_single_new(finish_repair, n, arg);
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb.repair = cb;
    if (due_args_begin(&args, q, 4 * n) != 0)
        return due_single_drop(op);
    for (size_t i = 0; i < n; i++) {
        const struct due_repair *repair = &repairs[i];
        due_args_add_word(&args, repair->what);
        due_args_add(&args, repair->id, repair->id_len);
        due_args_add(&args, repair->seen.text != NULL ? repair->seen.text : "", repair->seen.len);
        due_args_add_int(&args, repair->at_ms);
    }
    return due_single_send(q, op, &lua_repair, &args);
}
