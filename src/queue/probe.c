/* The due queue: whether Redis lets it do all that it does. The scripts themselves say, over keys
 * of their own beside the real ones: each of their commands is reached once, and what they leave
 * there the last ones remove. The real keys are looked at, and nothing is changed there. */
#include "queue/call.h"
#include "queue/lua_scripts.h"

#include <stdio.h>
#include <string.h>

#define RECORD "{\"attempts\":1,\"error\":\"a probe\"}"
#define WORDS_MAX 20
#define KEY_SIZE 128 /* a prefix has at most 64 bytes */

struct step {
    const struct lua_script *script; /* NULL: a command, the first of its words */
    const char *keys;                /* NULL: all of the queue's; or "name", "name,name" */
    bool real;                       /* the keys in use; else the probe's own */
    const char *words[WORDS_MAX];
};

static const struct step steps[] = {
    /* The types of the keys in use. */
    {&lua_sizes, NULL, true, {NULL}},
    {&lua_role, "feeder", true, {"probe", "0"}},
    {&lua_role, "reconciler", true, {"probe", "0"}},
    {&lua_paused, "paused,order", true, {NULL}},
    /* A script that the server does not know is sent as text. */
    {NULL, NULL, true, {"EVAL", "return 0", "0"}},
    {NULL, "inflight", true, {"ZSCAN", "", "0"}},
    {NULL, "failed", true, {"HSCAN", "", "0"}},
    {NULL, "kept", true, {"HSCAN", "", "0"}},
    /* What a probe has left that was refused half-way. */
    {&lua_drop, NULL, false, {"probe"}},
    {NULL, "leases", false, {"ZREMRANGEBYRANK", "", "0", "-1"}},
    /* The way of one reservation: mirrored, claimed, refused, claimed again, its lease taken over,
     * forgotten. */
    {&lua_repair, NULL, false, {"add", "probe", "", "1"}},
    {&lua_claim, NULL, false, {"2", "3", "1"}},
    {&lua_settle,
     NULL,
     false,
     {"3", "1000", "1000", "0", "0", "0", "1", "0", "0", "probe", "5", RECORD}},
    {&lua_claim, NULL, false, {"6", "7", "1"}},
    {&lua_claim, NULL, false, {"8", "9", "1"}},
    {&lua_schedule, NULL, false, {"10", "probe"}},
    {NULL, "pending", false, {"ZADD", "", "LT", "CH", "10", "probe"}},
    {&lua_settle,
     NULL,
     false,
     {"9", "1", "1", "0", "0", "1", "1", "0", "0", "probe", "5", "another", "5", RECORD}},
    /* What is kept, and what is not any more. */
    {&lua_keep, NULL, false, {"1000", "probe", "5", RECORD, "5"}},
    {&lua_claim, NULL, false, {"10", "11", "1"}},
    {&lua_settle, NULL, false, {"11", "1", "1", "0", "0", "1", "0", "0", "0", "probe", "5"}},
    {&lua_leases, "leases", false, {"0", "1"}},
    {&lua_absent, NULL, false, {"probe"}},
    {&lua_lookup, NULL, false, {"probe"}},
    {&lua_retrieve, NULL, false, {"0", "5", "5"}},
    {&lua_after, "pending", false, {"probe", "5", "1"}},
    {&lua_after, "pending", false, {"another", "5", "1"}},
    {&lua_drop, NULL, false, {"probe"}},
    {NULL, "leases", false, {"ZREMRANGEBYRANK", "", "0", "-1"}}, /* another's probe, at once */
    {&lua_mark, "mark,paused,order", false, {"probe"}},
    {&lua_role, "mark", false, {"probe", "1000"}},
    {&lua_role, "mark", false, {"probe", "0"}},
    {&lua_pause, "paused,order", false, {"", "", "probe", "1", "1", "1"}}, /* it ends at once */
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

struct probe_op {
    struct due_op op;
    size_t step;
    due_error_cb *cb;
    void *arg;
};

static void finish_probe(struct due_op *base, const char *error)
{
    struct probe_op *op = (struct probe_op *)base;
    op->cb(op->arg, error);
}

static bool send_step(struct due_queue *q, struct probe_op *op);

/* The next one when this one has gone through. */
static void on_step(void *arg, const struct redis_reply *reply, const char *error)
{
    struct probe_op *op = arg;
    if (due_op_answered(&op->op, reply, error) && ++op->step < STEPS && op->op.queue != NULL &&
        !send_step(op->op.queue, op))
        due_op_fail(&op->op, "Redis is down");
    due_op_done(&op->op);
}

/* Room for the texts of a step's keys. */
struct step_keys {
    char texts[KEY_COUNT][KEY_SIZE];
};

static void add_key(const struct due_queue *q, const struct step *step, const char *name, int len,
                    char text[KEY_SIZE], struct due_args *args)
{
    snprintf(text, KEY_SIZE, "%s%s%.*s", q->prefix, step->real ? "" : "probe:", len, name);
    due_args_add_word(args, text);
}

static void add_keys(const struct due_queue *q, const struct step *step, struct step_keys *keys,
                     struct due_args *args)
{
    const char *name = step->keys;
    for (int i = 0; name == NULL && i < KEY_COUNT; i++)
        add_key(q, step, due_queue_keys[i], (int)strlen(due_queue_keys[i]), keys->texts[i], args);
    for (int i = 0; name != NULL && i < KEY_COUNT; i++) {
        int len = (int)strcspn(name, ",");
        add_key(q, step, name, len, keys->texts[i], args);
        name = name[len] != '\0' ? name + len + 1 : NULL;
    }
}

static bool send_step(struct due_queue *q, struct probe_op *op)
{
    const struct step *step = &steps[op->step];
    struct step_keys keys;
    struct due_args args;
    bool sent;
    if (due_args_begin(&args, NULL, WORDS_MAX) != 0)
        return false;
    if (step->script != NULL)
        add_keys(q, step, &keys, &args);
    args.n_keys = args.n;
    for (int i = 0; i < WORDS_MAX && step->words[i] != NULL; i++) {
        if (step->words[i][0] == '\0' && step->script == NULL)
            add_keys(q, step, &keys, &args);
        else
            due_args_add(&args, step->words[i], strlen(step->words[i]));
    }
    sent = step->script != NULL ? due_op_send(q, &op->op, step->script, &args, on_step)
                                : due_op_send_plain(q, &op->op, &args, on_step);
    due_args_clear(&args);
    return sent;
}

int due_queue_probe(struct due_queue *q, due_error_cb *cb, void *arg)
{
    struct due_op *base = due_op_new(sizeof(struct probe_op), finish_probe);
    struct probe_op *op = (struct probe_op *)base;
    if (op == NULL)
        return -1;
    op->cb = cb;
    op->arg = arg;
    send_step(q, op);
    return due_op_begin(q, base);
}
