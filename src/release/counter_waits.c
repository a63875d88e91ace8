/* For how long each product's counter has been passed by. */
#include "release/counter_waits.h"

#include "base/hash.h"
#include "base/time_units.h"
#include "release/release.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS 256
#define PASSED_BY_US (250 * MS_US)
#define FORGET_US SECOND_US

struct counter_waits {
    struct {
        uint64_t product; /* a hash: a collision costs one waiting release too early */
        int64_t first_us, last_us;
    } slots[SLOTS];
};

struct counter_waits *counter_waits_new(void)
{
    return calloc(1, sizeof(struct counter_waits));
}

void counter_waits_free(struct counter_waits *s)
{
    free(s);
}

/* The product's slot, or the one that was used longest ago. */
static size_t find(const struct counter_waits *s, uint64_t product)
{
    size_t oldest = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        if (s->slots[i].product == product)
            return i;
        if (s->slots[i].last_us < s->slots[oldest].last_us)
            oldest = i;
    }
    return oldest;
}

/* True when the product has been passed by for long enough, now included. */
static bool note(struct counter_waits *s, const char *product, int64_t mono_us)
{
    uint64_t h = hash_text(product);
    size_t i = find(s, h);
    if (s->slots[i].product != h || mono_us - s->slots[i].last_us > FORGET_US) {
        s->slots[i].product = h;
        s->slots[i].first_us = mono_us;
    }
    s->slots[i].last_us = mono_us;
    return mono_us - s->slots[i].first_us >= PASSED_BY_US;
}

static void clear(struct counter_waits *s, const char *product)
{
    uint64_t h = hash_text(product);
    size_t i = find(s, h);
    if (s->slots[i].product == h) {
        s->slots[i].product = 0;
        s->slots[i].last_us = 0;
    }
}

size_t counter_waits_gather(struct counter_waits *s, struct item **items, size_t n, int64_t mono_us)
{
    const char *product = NULL;
    for (size_t i = 0; i < n && product == NULL; i++) {
        const struct item *item = items[i];
        if (item->outcome == OUTCOME_LOCKED && item->counter != NULL &&
            note(s, item->counter, mono_us))
            product = item->counter;
    }
    if (product == NULL)
        return 0;
    clear(s, product);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        struct item *item = items[i];
        if (item->outcome == OUTCOME_LOCKED && item->counter != NULL &&
            (item->counter == product || strcmp(item->counter, product) == 0)) {
            items[i] = items[count];
            items[count++] = item;
        }
    }
    return count;
}
