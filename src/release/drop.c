/* Tells Redis what was found to be active no more, without a claim. */
#include "release/drop.h"

#include "link/redis_link.h"
#include "queue/due_queue.h"
#include "release/parts.h"
#include "release/release.h"

#include <stdlib.h>
#include <string.h>

struct drop {
    struct due_entry *entries;
    size_t n;
    void (*done)(void *arg, const char *error);
    void *arg;
};

static void drop_free(struct drop *d)
{
    if (d == NULL)
        return;
    free(d->entries);
    free(d);
}

static void on_dropped(void *arg, size_t dropped, const char *error)
{
    struct drop *d = arg;
    (void)dropped;
    d->done(d->arg, error);
    drop_free(d);
}

static bool is_inactive(const struct item *item)
{
    return item->outcome == OUTCOME_RELEASED || item->outcome == OUTCOME_INACTIVE;
}

/* As Redis has them: each is near the one before then, which costs it half as much. */
static int compare(const void *a, const void *b)
{
    const struct due_entry *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    return strcmp(x->id, y->id);
}

static struct drop *drop_new(const struct item *items, size_t n)
{
    struct drop *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return NULL;
    d->entries = calloc(n, sizeof(*d->entries));
    for (size_t i = 0; i < n && d->entries != NULL; i++)
        if (is_inactive(&items[i]))
            d->entries[d->n++] = (struct due_entry){
                .id = items[i].id, .id_len = items[i].id_len, .at_ms = items[i].expires_us};
    if (d->entries != NULL)
        qsort(d->entries, d->n, sizeof(*d->entries), compare);
    return d;
}

bool drop_inactive(struct parts *parts, const struct item *items, size_t n,
                   void (*done)(void *arg, const char *error), void *arg)
{
    if (parts->queue == NULL || redis_link_state(parts->redis) != REDIS_LINK_UP)
        return false;
    struct drop *d = drop_new(items, n); /* out of memory: the entries go when they come due */
    if (d == NULL || d->n == 0)
        goto fail;
    d->done = done;
    d->arg = arg;
    if (due_queue_drop(parts->queue, d->entries, d->n, on_dropped, d) == 0)
        return true;
fail:
    drop_free(d);
    return false;
}
