/* Ids that were seen, as keyed 64-bit fingerprints in open tables: saves a question to Postgres for
 * each entry whose row was just read, and keeps what a scan repeats from being counted twice. Of a
 * million ids and a million others two share a fingerprint once in 18 million runs; the key differs
 * in each run. */
#include "reconcile/seen.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PARTS 64 /* each grows by itself, so that growing needs little memory at a time */
#define SLOTS_FIRST ((size_t)1 << 6)
#define SLOTS_MAX ((size_t)1 << 15) /* all parts: 16 MB, filled to two thirds: 1.4 million ids */

struct part {
    uint64_t *slots; /* 0: free */
    size_t n, size;
};

struct seen {
    struct part parts[PARTS];
    uint64_t key;
    size_t bytes; /* of the tables */
};

struct seen *seen_new(void)
{
    struct seen *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    for (int i = 0; i < PARTS; i++) {
        s->parts[i].size = SLOTS_FIRST;
        s->parts[i].slots = calloc(SLOTS_FIRST, sizeof(uint64_t));
        if (s->parts[i].slots == NULL)
            goto fail;
    }
    s->bytes = PARTS * SLOTS_FIRST * sizeof(uint64_t);
    if (getrandom(&s->key, sizeof(s->key), 0) == sizeof(s->key))
        return s;
fail:
    seen_free(s);
    return NULL;
}

void seen_free(struct seen *s)
{
    if (s == NULL)
        return;
    for (int i = 0; i < PARTS; i++)
        free(s->parts[i].slots);
    free(s);
}

size_t seen_bytes(const struct seen *s)
{
    return s->bytes;
}

/* The finalizer of MurmurHash3 (public domain). */
static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdULL;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53ULL;
    return h ^ (h >> 33);
}

static uint64_t fingerprint(const struct seen *s, unsigned as, const char *id, size_t len)
{
    uint64_t h = s->key ^ mix((uint64_t)as << 32 ^ len);
    while (len > 0) {
        uint64_t word = 0;
        size_t n = len < sizeof(word) ? len : sizeof(word);
        memcpy(&word, id, n);
        h = mix(h ^ word) + 0x9e3779b97f4a7c15ULL;
        id += n;
        len -= n;
    }
    return h != 0 ? h : 1;
}

/* Where it stands, or the free slot where it would. The part is chosen by the highest bits. */
static size_t slot_of(const uint64_t *slots, size_t size, uint64_t print)
{
    size_t i = (size_t)print & (size - 1);
    while (slots[i] != 0 && slots[i] != print)
        i = (i + 1) & (size - 1);
    return i;
}

/* Twice as large; when memory ran out or it is large enough, it stays as it is. */
static void grow(struct seen *s, struct part *p)
{
    size_t size = p->size * 2;
    uint64_t *slots = size <= SLOTS_MAX ? calloc(size, sizeof(*slots)) : NULL;
    if (slots == NULL)
        return;
    for (size_t i = 0; i < p->size; i++)
        if (p->slots[i] != 0)
            slots[slot_of(slots, size, p->slots[i])] = p->slots[i];
    s->bytes += (size - p->size) * sizeof(*slots);
    free(p->slots);
    p->slots = slots;
    p->size = size;
}

bool seen_add(struct seen *s, unsigned as, const char *id, size_t id_len)
{
    uint64_t print = fingerprint(s, as, id, id_len);
    struct part *p = &s->parts[print >> 58];
    size_t i = slot_of(p->slots, p->size, print);
    if (p->slots[i] == print)
        return false;
    if (p->n >= p->size / 3 * 2) {
        grow(s, p);
        i = slot_of(p->slots, p->size, print);
    }
    if (p->n < p->size / 3 * 2) {
        p->slots[i] = print;
        p->n++;
    }
    return true;
}

bool seen_has(const struct seen *s, unsigned as, const char *id, size_t id_len)
{
    uint64_t print = fingerprint(s, as, id, id_len);
    const struct part *p = &s->parts[print >> 58];
    return p->slots[slot_of(p->slots, p->size, print)] != 0;
}
