/* Whether a queue that was read anew is the one that is served. */
#include "config/queue_keys.h"
#include "config/queue_read.h"
#include "config/queues.h"

#include <assert.h>
#include <string.h>

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_text(const struct queue_text *a, const struct queue_text *b)
{
    return same(a->text, b->text);
}

static bool same_texts(const struct queue_text *a, int na, const struct queue_text *b, int nb)
{
    bool all = na == nb;
    for (int i = 0; all && i < na; i++)
        all = same_text(&a[i], &b[i]);
    return all;
}

static bool same_table(const struct queue_table *a, const struct queue_table *b)
{
    return same(a->schema, b->schema) && same(a->name, b->name);
}

static bool same_counters(const struct queue_stock *a, const struct queue_stock *b)
{
    bool keys = a->nkeys == b->nkeys;
    for (int i = 0; keys && i < a->nkeys; i++)
        keys = same_text(&a->keys[i].hold, &b->keys[i].hold) &&
               same_text(&a->keys[i].counter, &b->keys[i].counter);
    return keys && same_table(&a->table, &b->table) && same_text(&a->free, &b->free) &&
           same_text(&a->held, &b->held) && same_text(&a->total, &b->total) &&
           same_text(&a->set, &b->set) && same_text(&a->counted, &b->counted);
}

/* Who shares its counters, by what is made of that: their sums. */
static bool same_sharers(const struct queue_stock *a, const struct queue_stock *b)
{
    bool all = a->nsharers == b->nsharers && a->too_many == b->too_many && a->crossed == b->crossed;
    for (int i = 0; all && i < a->nsharers; i++) {
        const struct queue *x = a->sharers[i], *y = b->sharers[i];
        all = same_table(&x->table, &y->table) && same_text(&x->quantity, &y->quantity) &&
              same_text(&x->active, &y->active) && same_counters(&x->stock, &y->stock);
    }
    return all;
}

static bool same_settings(const struct queue_settings *a, const struct queue_settings *b)
{
    bool all = a->n == b->n;
    for (int i = 0; all && i < 2 * a->n; i++)
        all = same(a->all[i], b->all[i]);
    return all;
}

static bool same_keep(const struct queue_keep *a, const struct queue_keep *b)
{
    return a->look_again_us == b->look_again_us && a->extend_us == b->extend_us &&
           a->at_most_us == b->at_most_us && a->ends == b->ends;
}

/* What is different, by the keys of the file. */
struct differences {
    const char **keys;
    int n;
};

static void note(struct differences *d, const char *key, bool same)
{
    if (same)
        return;
    assert(d->n < QUEUE_DIFFERENCES_MAX);
    d->keys[d->n++] = key;
}

static void compare(struct differences *d, const struct queue *a, const struct queue *b)
{
    note(d, "name", same(a->name, b->name));
    note(d, "table", same_table(&a->table, &b->table));
    note(d, "id", same_text(&a->id, &b->id));
    note(d, "expires_at", same_text(&a->expires_at, &b->expires_at));
    note(d, "expires_unit", a->expires_unit == b->expires_unit);
    note(d, "time_zone", same_text(&a->time_zone, &b->time_zone));
    note(d, "after", a->after_us == b->after_us);
    note(d, "quantity", same_text(&a->quantity, &b->quantity));
    note(d, "active", same_text(&a->active, &b->active));
    note(d, "released", same_text(&a->released, &b->released) && a->deletes == b->deletes);
    note(d, "stock", same_counters(&a->stock, &b->stock));
    note(d, "stock, as others share it", same_sharers(&a->stock, &b->stock));
    note(d, "carry", same_texts(a->carry, a->ncarry, b->carry, b->ncarry));
    note(d, "also", same_texts(a->also, a->nalso, b->also, b->nalso));
    note(d, "keep_while", same_text(&a->keep.condition, &b->keep.condition));
    note(d, "keep", same_keep(&a->keep, &b->keep));
    note(d, "verify", same_texts(a->verify, a->nverify, b->verify, b->nverify));
    note(d, "database", same_text(&a->database, &b->database));
    note(d, "settings", same_settings(&a->settings, &b->settings));
    note(d, "notify", same_text(&a->notify, &b->notify));
    note(d, "call", same_table(&a->call, &b->call));
}

int config_queue_differences(const struct config *a, const struct config *b,
                             const char *keys[QUEUE_DIFFERENCES_MAX])
{
    /* What the settings of a queue name as their queue is part of what was read (queues.c). */
    const struct queue_read *read_a = (const struct queue_read *)(const void *)a->queue;
    const struct queue_read *read_b = (const struct queue_read *)(const void *)b->queue;
    struct differences d = {keys, 0};
    compare(&d, a->queue, b->queue);
    for (int i = 0; i < QUEUE_KEYS_N; i++) {
        int setting = queue_keys[i].setting;
        if (queue_keys[i].kind == QUEUE_KEY_SETTING)
            note(&d, queue_keys[i].name,
                 same_text(&read_a->overrides[setting], &read_b->overrides[setting]));
    }
    return d.n;
}

bool config_queue_same(const struct config *a, const struct config *b)
{
    const char *keys[QUEUE_DIFFERENCES_MAX];
    return config_queue_differences(a, b, keys) == 0;
}
