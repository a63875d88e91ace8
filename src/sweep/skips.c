/* For how long each product's counter has been skipped. */
#include "skips.h"

#include <stdlib.h>

#define SLOTS 256
#define PATIENCE_US (250 * 1000)
#define FORGET_US (1000 * 1000)

struct skips {
    struct {
        uint64_t product; /* a hash: a collision costs one early patient attempt */
        int64_t first_us, last_us;
    } slots[SLOTS];
};

struct skips *skips_new(void)
{
    return calloc(1, sizeof(struct skips));
}

void skips_free(struct skips *s)
{
    free(s);
}

static uint64_t hash(const char *text) /* FNV-1a */
{
    uint64_t h = 14695981039346656037u;
    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h != 0 ? h : 1;
}

/* The product's slot, or the one that was used longest ago. */
static size_t find(const struct skips *s, uint64_t product)
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

bool skips_note(struct skips *s, const char *product, int64_t mono_us)
{
    uint64_t h = hash(product);
    size_t i = find(s, h);
    if (s->slots[i].product != h || mono_us - s->slots[i].last_us > FORGET_US) {
        s->slots[i].product = h;
        s->slots[i].first_us = mono_us;
    }
    s->slots[i].last_us = mono_us;
    return mono_us - s->slots[i].first_us >= PATIENCE_US;
}

void skips_clear(struct skips *s, const char *product)
{
    uint64_t h = hash(product);
    size_t i = find(s, h);
    if (s->slots[i].product == h) {
        s->slots[i].product = 0;
        s->slots[i].last_us = 0;
    }
}
