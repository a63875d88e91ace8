/* Reservations that Postgres refused while Redis could not be told: a chained hash table. */
#include "release/refusals.h"

#include "base/backoff.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define CHAINS 1024
#define MOST 10000

struct refusal {
    struct refusal *next;
    int64_t retry_us;
    uint32_t attempts;
    char id[];
};

struct refusals {
    struct refusal *chains[CHAINS];
    size_t n;
};

struct refusals *refusals_new(void)
{
    return calloc(1, sizeof(struct refusals));
}

void refusals_free(struct refusals *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < CHAINS; i++) {
        while (r->chains[i] != NULL) {
            struct refusal *gone = r->chains[i];
            r->chains[i] = gone->next;
            free(gone);
        }
    }
    free(r);
}

static size_t chain_of(const char *id)
{
    return hash_text(id) % CHAINS;
}

/* The link that points to the id's entry, or to the NULL at its chain's end. */
static struct refusal **find(struct refusals *r, const char *id)
{
    struct refusal **at = &r->chains[chain_of(id)];
    while (*at != NULL && strcmp((*at)->id, id) != 0)
        at = &(*at)->next;
    return at;
}

/* A new entry in the place that find() gave; NULL when there is no room. */
static struct refusal *add(struct refusals *r, struct refusal **at, const char *id)
{
    size_t size = strlen(id) + 1;
    struct refusal *fresh = r->n < MOST ? malloc(sizeof(*fresh) + size) : NULL;
    if (fresh == NULL)
        return NULL;
    memset(fresh, 0, sizeof(*fresh));
    memcpy(fresh->id, id, size);
    *at = fresh;
    r->n++;
    return fresh;
}

uint32_t refusals_note(struct refusals *r, const char *id, int64_t mono_us)
{
    struct refusal **at = find(r, id);
    struct refusal *refusal = *at != NULL ? *at : add(r, at, id);
    if (refusal == NULL)
        return 1;
    refusal->attempts++;
    refusal->retry_us = mono_us + backoff_refused_us(refusal->attempts);
    return refusal->attempts;
}

bool refusals_meet(struct refusals *r, const char *id)
{
    struct refusal **at = find(r, id);
    return *at == NULL && add(r, at, id) != NULL;
}

uint32_t refusals_find(const struct refusals *r, const char *id, int64_t mono_us, bool *held_back)
{
    const struct refusal *at = r->chains[chain_of(id)];
    while (at != NULL && strcmp(at->id, id) != 0)
        at = at->next;
    *held_back = at != NULL && mono_us < at->retry_us;
    return at != NULL ? at->attempts : 0;
}

void refusals_forget(struct refusals *r, const char *id)
{
    struct refusal **at = find(r, id);
    if (*at == NULL)
        return;
    struct refusal *gone = *at;
    *at = gone->next;
    free(gone);
    r->n--;
}
