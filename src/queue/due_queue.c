/* The due queue: its keys, its end. */
#include "queue/call.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const due_queue_keys[KEY_COUNT] = {
    [KEY_PENDING] = "pending", [KEY_LEASES] = "leases", [KEY_INFLIGHT] = "inflight",
    [KEY_FAILED] = "failed",   [KEY_KEPT] = "kept",     [KEY_ATTENTION] = "attention",
};

char *due_queue_key(const struct due_queue *q, const char *name)
{
    size_t size = strlen(q->prefix) + strlen(name) + 1;
    char *key = malloc(size);
    if (key != NULL)
        snprintf(key, size, "%s%s", q->prefix, name);
    return key;
}

struct due_queue *due_queue_new(struct redis_link *link, const char *prefix)
{
    struct due_queue *q = calloc(1, sizeof(*q));
    size_t size = strlen(prefix) + sizeof("{}:");
    if (q == NULL)
        return NULL;
    q->link = link;
    TAILQ_INIT(&q->ops);
    q->prefix = malloc(size);
    if (q->prefix == NULL)
        goto fail;
    snprintf(q->prefix, size, "{%s}:", prefix);
    for (int i = 0; i < KEY_COUNT; i++) {
        q->keys[i] = due_queue_key(q, due_queue_keys[i]);
        if (q->keys[i] == NULL)
            goto fail;
    }
    return q;
fail:
    due_queue_free(q);
    return NULL;
}

void due_queue_free(struct due_queue *q)
{
    if (q == NULL)
        return;
    q->link = NULL; /* callers that try again at once are refused */
    while (!TAILQ_EMPTY(&q->ops))
        due_op_finish(TAILQ_FIRST(&q->ops), "the queue was closed");
    for (int i = 0; i < KEY_COUNT; i++)
        free(q->keys[i]);
    free(q->prefix);
    free(q);
}

void due_queue_on_refused(struct due_queue *q, void (*cb)(void *arg, const char *reason), void *arg)
{
    q->on_refused = cb;
    q->refused_arg = arg;
}

void due_queue_on_answered(struct due_queue *q, void (*cb)(void *arg, int64_t us), void *arg)
{
    q->on_answered = cb;
    q->answered_arg = arg;
}
