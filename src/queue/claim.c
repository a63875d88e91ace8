/* The due queue: claims and sizes.
 *
 * How a claim keeps what it takes (lua/claim.lua, lua/settle.lua):
 *   - A claim moves ids that are due from :pending to :inflight, whose score is the end of the
 * lease. That number is the token too: an id is ours while its score there is the one that we gave
 * it.
 *   - It is settled once (settle.c): forgotten, put back, or recorded as refused; each id by
 * itself, and only while it is still ours.
 *   - Whoever dies in between leaves the ids in :inflight. The next claim of anybody takes over
 * what is past its end, before it looks into :pending. So nothing that was due is ever in neither
 * set, and of two that have claimed the same id only the later one can settle it. Postgres decides
 * what is released; a lease only spares work done twice.
 *
 * A claim of more than a script may handle is several scripts, sent at once, whose answers are
 * joined. What some of them brought is ours whatever became of the others, so it is given. No
 * answer is trusted to be well-formed; one that is not is of no use as a whole, and the lease
 * covers what it claimed. */
#include "base/clock.h"
#include "base/parse.h"
#include "base/time_units.h"
#include "queue/call.h"
#include "queue/lua_scripts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CLAIM_MAX 5000
#define CLAIM_PARTS_MAX (CLAIM_MAX / DUE_QUEUE_SCRIPT_MAX)

static bool is_count(const struct redis_reply *r)
{
    return redis_reply_type(r) == REDIS_LINK_INTEGER && redis_reply_int(r) >= 0;
}

static int read_score(const struct redis_reply *r, int64_t *out)
{
    size_t len;
    const char *text = redis_reply_str(r, &len);
    return redis_reply_type(r) == REDIS_LINK_STRING ? parse_score_ms(text, len, out) : -1;
}

/* The six values that claim.lua and sizes.lua begin with. */
static int read_sizes(const struct redis_reply *reply, struct due_sizes *sizes)
{
    int64_t counts[5];
    const struct redis_reply *next = redis_reply_at(reply, 5);
    for (size_t i = 0; i < 5; i++) {
        if (!is_count(redis_reply_at(reply, i)))
            return -1;
        counts[i] = redis_reply_int(redis_reply_at(reply, i));
    }
    if (next == NULL || counts[0] > INT64_MAX / SECOND_US - 1 || counts[1] >= SECOND_US)
        return -1;
    sizes->redis_us = counts[0] * SECOND_US + counts[1];
    sizes->pending = counts[2];
    sizes->inflight = counts[3];
    sizes->failed = counts[4];
    sizes->next_ms = INT64_MAX;
    return redis_reply_type(next) == REDIS_LINK_NIL ? 0 : read_score(next, &sizes->next_ms);
}

struct sizes_op {
    struct due_op op;
    struct due_sizes sizes;
    due_sizes_cb *cb;
    void *arg;
};

static void finish_sizes(struct due_op *base, const char *error)
{
    struct sizes_op *op = (struct sizes_op *)base;
    op->cb(op->arg, error == NULL ? &op->sizes : NULL, error);
}

static void on_sizes(void *arg, const struct redis_reply *reply, const char *error)
{
    struct sizes_op *op = arg;
    if (due_op_answered(&op->op, reply, error) && read_sizes(reply, &op->sizes) != 0)
        due_op_fail(&op->op, DUE_UNEXPECTED);
    due_op_done(&op->op);
}

int due_queue_sizes(struct due_queue *q, due_sizes_cb *cb, void *arg)
{
    struct due_op *base = due_op_new(sizeof(struct sizes_op), finish_sizes);
    struct sizes_op *op = (struct sizes_op *)base;
    struct due_args args;
    if (op == NULL)
        return -1;
    op->cb = cb;
    op->arg = arg;
    if (due_args_begin(&args, q, 0) == 0) {
        due_op_send(q, base, &lua_sizes, &args, on_sizes);
        due_args_clear(&args);
    }
    return due_op_begin(q, base);
}

/* ---- claims ---- */

struct claim_op {
    struct due_op op;
    struct due_claimed claimed; /* joined from all parts */
    struct due_claim *claims;   /* room for as many as were asked for */
    char *texts[CLAIM_PARTS_MAX];
    size_t n_parts; /* answered as they should be */
    due_claimed_cb *cb;
    void *arg;
};

static void destroy_claim(struct due_op *base)
{
    struct claim_op *op = (struct claim_op *)base;
    for (size_t i = 0; i < op->n_parts; i++)
        free(op->texts[i]);
    free(op->claims);
    free(op);
}

/* What some scripts brought is given even if others failed: it is ours, and known. */
static void finish_claim(struct due_op *base, const char *error)
{
    struct claim_op *op = (struct claim_op *)base;
    if (error != NULL && (op->n_parts == 0 || base->outstanding > 0))
        op->cb(op->arg, NULL, error);
    else
        op->cb(op->arg, &op->claimed, NULL);
}

/* A flat array of id, score, ... that fits into what is left of `room` ids. Adds up the space that
 * its texts need. */
static bool check_pairs(const struct redis_reply *pairs, size_t *room, size_t *bytes)
{
    size_t len = redis_reply_len(pairs);
    size_t id_len;
    int64_t score;
    if (redis_reply_type(pairs) != REDIS_LINK_ARRAY || len % 2 != 0 || len / 2 > *room)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        const struct redis_reply *id = redis_reply_at(pairs, i);
        if (redis_reply_type(id) != REDIS_LINK_STRING ||
            read_score(redis_reply_at(pairs, i + 1), &score) != 0)
            return false;
        redis_reply_str(id, &id_len);
        *bytes += id_len + 1;
    }
    *room -= len / 2;
    return true;
}

static bool check_records(const struct redis_reply *records, size_t n, size_t *bytes)
{
    size_t len = redis_reply_len(records);
    size_t record_len;
    if (redis_reply_type(records) != REDIS_LINK_ARRAY || (len != 0 && len != n))
        return false;
    for (size_t i = 0; i < len; i++) {
        const struct redis_reply *record = redis_reply_at(records, i);
        if (redis_reply_type(record) != REDIS_LINK_STRING &&
            redis_reply_type(record) != REDIS_LINK_NIL)
            return false;
        redis_reply_str(record, &record_len);
        *bytes += record_len + 1;
    }
    return true;
}

/* The text with a terminator, in the block that *at walks through. */
static const char *copy_text(const struct redis_reply *r, size_t *len, char **at)
{
    const char *copy = *at;
    const char *text = redis_reply_str(r, len);
    memcpy(*at, text, *len + 1);
    *at += *len + 1;
    return copy;
}

static void add_claims(struct claim_op *op, const struct redis_reply *pairs, bool taken_over,
                       char **at)
{
    for (size_t i = 0; i < redis_reply_len(pairs); i += 2) {
        struct due_claim *claim = &op->claims[op->claimed.n++];
        claim->id = copy_text(redis_reply_at(pairs, i), &claim->id_len, at);
        claim->taken_over = taken_over;
        (void)!read_score(redis_reply_at(pairs, i + 1), &claim->score_ms); /* checked before */
    }
}

/* Joins one script's answer to the others'. Returns what is wrong with it, or NULL. */
static const char *join_part(struct claim_op *op, const struct redis_reply *reply)
{
    const struct redis_reply *over = redis_reply_at(reply, 6);
    const struct redis_reply *due = redis_reply_at(reply, 7);
    const struct redis_reply *records = redis_reply_at(reply, 8);
    size_t first = op->claimed.n;
    size_t room = op->claimed.asked - first;
    size_t bytes = 1;
    struct due_sizes sizes;
    char *at;
    if (read_sizes(reply, &sizes) != 0 || !check_pairs(over, &room, &bytes) ||
        !check_pairs(due, &room, &bytes) ||
        !check_records(records, op->claimed.asked - first - room, &bytes))
        return DUE_UNEXPECTED;
    at = malloc(bytes);
    if (at == NULL)
        return "out of memory";
    op->texts[op->n_parts++] = at;
    add_claims(op, over, true, &at);
    add_claims(op, due, false, &at);
    for (size_t i = 0; i < redis_reply_len(records); i++) {
        struct due_claim *claim = &op->claims[first + i];
        if (redis_reply_type(redis_reply_at(records, i)) == REDIS_LINK_STRING)
            claim->failed = copy_text(redis_reply_at(records, i), &claim->failed_len, &at);
    }
    assert(op->claimed.n <= op->claimed.asked);
    op->claimed.sizes = sizes;
    op->claimed.received_us = clock_mono_us();
    return NULL;
}

static void on_claim(void *arg, const struct redis_reply *reply, const char *error)
{
    struct claim_op *op = arg;
    if (due_op_answered(&op->op, reply, error)) {
        const char *wrong = join_part(op, reply);
        if (wrong != NULL)
            due_op_fail(&op->op, wrong);
    }
    due_op_done(&op->op);
}

static struct claim_op *new_claim(int64_t lease_ms, int limit)
{
    struct due_op *base = due_op_new(sizeof(struct claim_op), finish_claim);
    struct claim_op *op = (struct claim_op *)base;
    if (op == NULL)
        return NULL;
    base->destroy = destroy_claim;
    op->claims = calloc((size_t)limit, sizeof(*op->claims));
    if (op->claims == NULL) {
        destroy_claim(base);
        return NULL;
    }
    op->claimed.lease_ms = lease_ms;
    op->claimed.claims = op->claims;
    op->claimed.asked = (size_t)limit;
    op->claimed.sent_us = clock_mono_us();
    return op;
}

int due_queue_claim(struct due_queue *q, int64_t now_ms, int64_t lease_ms, int limit,
                    due_claimed_cb *cb, void *arg)
{
    struct claim_op *op;
    struct due_args args;
    assert(limit >= 1 && limit <= CLAIM_MAX);
    op = new_claim(lease_ms, limit);
    if (op == NULL)
        return -1;
    op->cb = cb;
    op->arg = arg;
    while (limit > 0) {
        int part = limit < DUE_QUEUE_SCRIPT_MAX ? limit : DUE_QUEUE_SCRIPT_MAX;
        if (due_args_begin(&args, q, 3) != 0)
            break;
        due_args_add_int(&args, now_ms);
        due_args_add_int(&args, lease_ms);
        due_args_add_int(&args, part);
        due_op_send(q, &op->op, &lua_claim, &args, on_claim);
        due_args_clear(&args);
        limit -= part;
    }
    return due_op_begin(q, &op->op);
}
