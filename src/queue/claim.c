/* The due queue: claims and sizes.
 *
 * How a claim keeps what it takes (lua/claim.lua, lua/settle.lua):
 *   - A claim takes ids that are due out of :pending and packs them into one member of :leases,
 * whose score is the end of the lease. No two members have the same score, so it is the token too:
 * the batch is ours while there is a member with the score that we were given.
 *   - It is settled once (settle.c), as a whole, and only while it is still ours: the member goes,
 * and what is not forgotten goes back to :pending.
 *   - Whoever dies in between leaves the batch in :leases. The next claims of anybody take over
 * what is past its end, one batch each, before they look into :pending. So nothing that was due is
 * ever in neither, and of two that have had the same batch only the later one can settle it.
 * Postgres decides what is released; a lease only spares work done twice.
 *   - Claims of version 0.1, each id with its own lease, are in :inflight. They are taken over when
 * they end, and none is written any more.
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

/* The eight values that claim.lua and sizes.lua begin with. Only claim.lua may leave inflight out.
 */
static int read_sizes(const struct redis_reply *reply, struct due_sizes *sizes)
{
    int64_t counts[7];
    const struct redis_reply *next = redis_reply_at(reply, 7);
    for (size_t i = 0; i < 7; i++) {
        const struct redis_reply *count = redis_reply_at(reply, i);
        bool left_out = i == 3 && count != NULL && redis_reply_type(count) == REDIS_LINK_NIL;
        if (!left_out && !is_count(count))
            return -1;
        counts[i] = left_out ? DUE_NOT_COUNTED : redis_reply_int(count);
    }
    if (next == NULL || counts[0] > INT64_MAX / SECOND_US - 1 || counts[1] >= SECOND_US)
        return -1;
    sizes->redis_us = counts[0] * SECOND_US + counts[1];
    sizes->pending = counts[2];
    sizes->inflight = counts[3];
    sizes->failed = counts[4];
    sizes->kept = counts[5];
    sizes->attention = counts[6];
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
    if (due_op_answered(&op->op, reply, error) &&
        (read_sizes(reply, &op->sizes) != 0 || op->sizes.inflight == DUE_NOT_COUNTED))
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

/* What one script brought; those of the next ones follow. */
struct due_texts {
    struct due_texts *next;
    char bytes[];
};

struct claim_op {
    struct due_op op;
    struct due_claimed claimed; /* joined from all parts */
    struct due_claim *claims;   /* as many as have come */
    size_t n_parts;             /* answered as they should be */
    due_claimed_cb *cb;
    void *arg;
};

void due_texts_free(struct due_texts *texts)
{
    while (texts != NULL) {
        struct due_texts *next = texts->next;
        free(texts);
        texts = next;
    }
}

static void destroy_claim(struct due_op *base)
{
    struct claim_op *op = (struct claim_op *)base;
    due_texts_free(op->claimed.texts);
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

/* One script's answer, beyond the sizes. */
struct part {
    struct due_lease lease;
    int64_t due_left, odd, over;
    const struct redis_reply *ids, *records, *keeps;
    size_t bytes; /* that its texts need, with their terminators */
};

static bool check_ids(struct part *part)
{
    size_t len;
    for (size_t i = 0; i < part->lease.n; i++) {
        const struct redis_reply *id = redis_reply_at(part->ids, i);
        if (redis_reply_type(id) != REDIS_LINK_STRING)
            return false;
        redis_reply_str(id, &len);
        part->bytes += len + 1;
    }
    return true;
}

static bool check_records(struct part *part, const struct redis_reply *records)
{
    size_t n = redis_reply_len(records);
    size_t len;
    if (redis_reply_type(records) != REDIS_LINK_ARRAY || (n != 0 && n != part->lease.n))
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct redis_reply *record = redis_reply_at(records, i);
        if (redis_reply_type(record) != REDIS_LINK_STRING &&
            redis_reply_type(record) != REDIS_LINK_NIL)
            return false;
        redis_reply_str(record, &len);
        part->bytes += len + 1;
    }
    return true;
}

/* room: how many ids it may bring. */
static bool read_part(const struct redis_reply *reply, size_t room, struct part *part)
{
    for (size_t i = 8; i <= 11; i++)
        if (!is_count(redis_reply_at(reply, i)))
            return false;
    *part = (struct part){
        .lease = {redis_reply_int(redis_reply_at(reply, 8)), 0},
        .due_left = redis_reply_int(redis_reply_at(reply, 9)),
        .odd = redis_reply_int(redis_reply_at(reply, 10)),
        .over = redis_reply_int(redis_reply_at(reply, 11)),
        .ids = redis_reply_at(reply, 12),
        .records = redis_reply_at(reply, 13),
        .keeps = redis_reply_at(reply, 14),
    };
    part->lease.n = redis_reply_len(part->ids);
    return part->odd <= 1 && redis_reply_type(part->ids) == REDIS_LINK_ARRAY &&
           part->lease.n <= room && part->lease.n <= DUE_QUEUE_SCRIPT_MAX &&
           (uint64_t)part->over <= part->lease.n && check_ids(part) &&
           check_records(part, part->records) && check_records(part, part->keeps);
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

static void add_claims(struct claim_op *op, const struct part *part, char *at)
{
    struct due_claim *claims = op->claims + op->claimed.n;
    for (size_t i = 0; i < part->lease.n; i++) {
        claims[i] = (struct due_claim){.taken_over = i < (size_t)part->over};
        claims[i].id = copy_text(redis_reply_at(part->ids, i), &claims[i].id_len, &at);
    }
    for (size_t i = 0; i < redis_reply_len(part->records); i++) {
        const struct redis_reply *record = redis_reply_at(part->records, i);
        if (redis_reply_type(record) == REDIS_LINK_STRING)
            claims[i].failed = copy_text(record, &claims[i].failed_len, &at);
    }
    for (size_t i = 0; i < redis_reply_len(part->keeps); i++) {
        const struct redis_reply *record = redis_reply_at(part->keeps, i);
        if (redis_reply_type(record) == REDIS_LINK_STRING)
            claims[i].kept = copy_text(record, &claims[i].kept_len, &at);
    }
    op->claimed.n += part->lease.n;
    op->claimed.leases[op->claimed.n_leases++] = part->lease;
}

/* Makes room for one script's claims. Returns 0, or -1 when memory ran out. */
static int make_room(struct claim_op *op, const struct part *part)
{
    struct due_texts *texts = malloc(sizeof(*texts) + part->bytes);
    struct due_claim *claims =
        realloc(op->claims, (op->claimed.n + part->lease.n) * sizeof(*claims));
    if (claims != NULL)
        op->claimed.claims = op->claims = claims;
    if (texts == NULL || claims == NULL) {
        free(texts);
        return -1;
    }
    texts->next = op->claimed.texts;
    op->claimed.texts = texts;
    return 0;
}

/* Joins one script's answer to the others'. Returns what is wrong with it, or NULL. */
static const char *join_part(struct claim_op *op, const struct redis_reply *reply)
{
    struct due_sizes sizes;
    struct part part;
    if (read_sizes(reply, &sizes) != 0 ||
        !read_part(reply, op->claimed.asked - op->claimed.n, &part))
        return DUE_UNEXPECTED;
    if (part.lease.n > 0) {
        if (make_room(op, &part) != 0)
            return "out of memory";
        add_claims(op, &part, op->claimed.texts->bytes);
    }
    op->n_parts++;
    assert(op->claimed.n <= op->claimed.asked);
    op->claimed.sizes = sizes;
    op->claimed.due_left = (size_t)part.due_left;
    op->claimed.odd += (size_t)part.odd;
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

int due_queue_claim(struct due_queue *q, int64_t now_ms, int64_t lease_ms, int limit,
                    due_claimed_cb *cb, void *arg)
{
    struct due_op *base = due_op_new(sizeof(struct claim_op), finish_claim);
    struct claim_op *op = (struct claim_op *)base;
    struct due_args args;
    assert(limit >= 1 && limit <= DUE_QUEUE_CLAIM_MAX);
    if (op == NULL)
        return -1;
    base->destroy = destroy_claim;
    op->claimed.asked = (size_t)limit;
    op->claimed.sent_us = clock_mono_us();
    op->cb = cb;
    op->arg = arg;
    while (limit > 0) {
        int part = limit < DUE_QUEUE_SCRIPT_MAX ? limit : DUE_QUEUE_SCRIPT_MAX;
        if (due_args_begin(&args, q, 3) != 0)
            break;
        due_args_add_int(&args, now_ms);
        due_args_add_int(&args, lease_ms);
        due_args_add_int(&args, part);
        due_op_send(q, base, &lua_claim, &args, on_claim);
        due_args_clear(&args);
        limit -= part;
    }
    return due_op_begin(q, base);
}
