/* A small hash table of texts. */
#include "base/text_table.h"

#include "base/hash.h"

#include <assert.h>
#include <string.h>

static struct text_entry **chain_of(struct text_table *t, const char *key)
{
    return &t->chains[hash_text(key) % TEXT_TABLE_CHAINS];
}

struct text_entry *text_table_find(const struct text_table *t, const char *key)
{
    if (t->n == 0) /* the usual: a hash for each id of a backlog would be felt */
        return NULL;
    struct text_entry *entry = t->chains[hash_text(key) % TEXT_TABLE_CHAINS];
    while (entry != NULL && strcmp(entry->key, key) != 0)
        entry = entry->next;
    return entry;
}

void text_table_add(struct text_table *t, struct text_entry *entry)
{
    struct text_entry **at = chain_of(t, entry->key);
    assert(text_table_find(t, entry->key) == NULL);
    entry->next = *at;
    *at = entry;
    t->n++;
}

void text_table_remove(struct text_table *t, struct text_entry *entry)
{
    struct text_entry **at = chain_of(t, entry->key);
    while (*at != NULL && *at != entry)
        at = &(*at)->next;
    assert(*at == entry);
    if (*at == NULL)
        return;
    *at = entry->next;
    t->n--;
}

void text_table_clear(struct text_table *t, void (*free_entry)(struct text_entry *entry))
{
    for (size_t i = 0; i < TEXT_TABLE_CHAINS; i++) {
        while (t->chains[i] != NULL) {
            struct text_entry *gone = t->chains[i];
            t->chains[i] = gone->next;
            free_entry(gone);
        }
    }
    t->n = 0;
}
