/* Whether a queue that was read anew is the one that is served. */
#include "config/queue_read.h"
#include "config/queues.h"

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
    return same_text(&a->condition, &b->condition) && a->look_again_us == b->look_again_us &&
           a->extend_us == b->extend_us && a->at_most_us == b->at_most_us && a->ends == b->ends;
}

static bool same_queue(const struct queue *a, const struct queue *b)
{
    return same(a->name, b->name) && same_table(&a->table, &b->table) &&
           same_text(&a->id, &b->id) && same_text(&a->expires_at, &b->expires_at) &&
           same_text(&a->quantity, &b->quantity) && a->expires_unit == b->expires_unit &&
           same_text(&a->time_zone, &b->time_zone) && a->after_us == b->after_us &&
           same_text(&a->active, &b->active) && same_text(&a->released, &b->released) &&
           a->deletes == b->deletes && same_counters(&a->stock, &b->stock) &&
           same_sharers(&a->stock, &b->stock) &&
           same_texts(a->carry, a->ncarry, b->carry, b->ncarry) &&
           same_texts(a->also, a->nalso, b->also, b->nalso) && same_keep(&a->keep, &b->keep) &&
           same_texts(a->verify, a->nverify, b->verify, b->nverify) &&
           same_text(&a->database, &b->database) && same_settings(&a->settings, &b->settings) &&
           same_text(&a->notify, &b->notify) && same_table(&a->call, &b->call);
}

bool config_queue_same(const struct config *a, const struct config *b)
{
    /* What the settings of a queue name as their queue is part of what was read (queues.c). */
    const struct queue_read *read_a = (const struct queue_read *)(const void *)a->queue;
    const struct queue_read *read_b = (const struct queue_read *)(const void *)b->queue;
    return same_queue(a->queue, b->queue) &&
           same_texts(read_a->overrides, SETTINGS_N, read_b->overrides, SETTINGS_N);
}
