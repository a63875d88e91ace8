/* What the counters of a queue count: its own holds, and those of other queues of the file that
 * have the same column of the same counters. */
#include "config/queue_stock.h"

#include <string.h>

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool queue_tables_alike(const struct queue_table *a, const struct queue_table *b)
{
    return a->name != NULL && same(a->name, b->name) &&
           (a->schema == NULL || b->schema == NULL || same(a->schema, b->schema));
}

/* The key of `in` with this column of the counters; NULL: none has. */
static const struct queue_key *key_of(const struct queue_stock *in, const char *counter)
{
    for (int i = 0; i < in->nkeys; i++)
        if (same(in->keys[i].counter.text, counter))
            return &in->keys[i];
    return NULL;
}

static bool same_keys(const struct queue_stock *a, const struct queue_stock *b)
{
    bool all = a->nkeys == b->nkeys;
    for (int i = 0; all && i < a->nkeys; i++)
        all = key_of(b, a->keys[i].counter.text) != NULL;
    return all;
}

static void note(struct queue_stock *stock, const struct queue *other)
{
    if (!same_keys(stock, &other->stock))
        stock->crossed = true;
    else if (stock->nsharers == QUEUE_SHARERS_MAX)
        stock->too_many = true;
    else
        stock->sharers[stock->nsharers++] = other;
}

/* A release of one that has no `held` leaves that column alone. */
static bool share(const struct queue *a, const struct queue *b)
{
    return a->stock.held.text != NULL && same(a->stock.held.text, b->stock.held.text) &&
           queue_tables_alike(&a->stock.table, &b->stock.table) &&
           same(a->database.text, b->database.text);
}

void queue_stock_note(struct queue *const *all, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            if (i != j && share(all[i], all[j]))
                note(&all[i]->stock, all[j]);
}

const char *queue_not_comparable(const struct queue *queue)
{
    const struct queue_stock *stock = &queue->stock;
    if (stock->table.name == NULL)
        return NULL;
    if (stock->held.text == NULL)
        return "`free` alone does not say what is held: nothing can be compared with it";
    if (stock->crossed)
        return "another queue finds the same counters by other columns: its holds cannot be added";
    if (stock->too_many)
        return "more than 17 queues share these counters: their holds are not added up";
    return NULL;
}

bool queue_compared_alike(const struct queue *a, const struct queue *b)
{
    const struct queue_stock *x = &a->stock, *y = &b->stock;
    return share(a, b) && same(x->table.schema, y->table.schema) && same_keys(x, y) &&
           same(x->free.text, y->free.text) && same(x->total.text, y->total.text) &&
           queue_not_comparable(a) == NULL;
}

const char *queue_counted(const struct queue *queue)
{
    return queue->stock.counted.text != NULL ? queue->stock.counted.text : queue->active.text;
}

void queue_with_keys_of(const struct queue *queue, const struct queue *other, struct queue *out)
{
    *out = *queue;
    for (int i = 0; i < other->stock.nkeys; i++)
        out->stock.keys[i] = *key_of(&queue->stock, other->stock.keys[i].counter.text);
}
