/* Reservations that Postgres refused while Redis could not be told: by id. */
#include "release/refusals.h"

#include "base/backoff.h"
#include "base/text_table.h"

#include <stdlib.h>
#include <string.h>

#define MOST 10000

struct refusal {
    struct text_entry entry;
    int64_t retry_us;
    uint32_t attempts;
    char id[];
};

struct refusals {
    struct text_table table;
};

struct refusals *refusals_new(void)
{
    return calloc(1, sizeof(struct refusals));
}

static void free_refusal(struct text_entry *entry)
{
    free(entry);
}

void refusals_clear(struct refusals *r)
{
    text_table_clear(&r->table, free_refusal);
}

void refusals_free(struct refusals *r)
{
    if (r == NULL)
        return;
    refusals_clear(r);
    free(r);
}

static struct refusal *find(const struct refusals *r, const char *id)
{
    return (struct refusal *)text_table_find(&r->table, id);
}

/* A new entry; NULL when there is no room. */
static struct refusal *add(struct refusals *r, const char *id)
{
    size_t size = strlen(id) + 1;
    struct refusal *fresh = r->table.n < MOST ? malloc(sizeof(*fresh) + size) : NULL;
    if (fresh == NULL)
        return NULL;
    memset(fresh, 0, sizeof(*fresh));
    memcpy(fresh->id, id, size);
    fresh->entry.key = fresh->id;
    text_table_add(&r->table, &fresh->entry);
    return fresh;
}

uint32_t refusals_note(struct refusals *r, const char *id, int64_t mono_us)
{
    struct refusal *refusal = find(r, id);
    if (refusal == NULL)
        refusal = add(r, id);
    if (refusal == NULL)
        return 1;
    refusal->attempts++;
    refusal->retry_us = mono_us + backoff_refused_us(refusal->attempts);
    return refusal->attempts;
}

bool refusals_bar(struct refusals *r, const char *id)
{
    struct refusal *refusal = find(r, id);
    if (refusal == NULL)
        refusal = add(r, id);
    if (refusal == NULL)
        return false;
    refusal->retry_us = INT64_MAX;
    return true;
}

bool refusals_meet(struct refusals *r, const char *id)
{
    return find(r, id) == NULL && add(r, id) != NULL;
}

uint32_t refusals_find(const struct refusals *r, const char *id, int64_t mono_us, bool *too_early)
{
    const struct refusal *at = find(r, id);
    *too_early = at != NULL && mono_us < at->retry_us;
    return at != NULL ? at->attempts : 0;
}

void refusals_forget(struct refusals *r, const char *id)
{
    struct refusal *gone = find(r, id);
    if (gone == NULL)
        return;
    text_table_remove(&r->table, &gone->entry);
    free(gone);
}
