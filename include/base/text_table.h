/* A small hash table of texts, for what this process remembers by id: chained, of a fixed number of
 * chains, without memory of its own. Good for some ten thousand entries. */
#ifndef RS_TEXT_TABLE_H
#define RS_TEXT_TABLE_H

#include <stddef.h>

#define TEXT_TABLE_CHAINS 1024

/* The first member of what is remembered, which belongs to the caller. */
struct text_entry {
    struct text_entry *next; /* of its chain */
    const char *key;         /* good until the entry is taken out */
};

/* Zeroed, it is empty. */
struct text_table {
    struct text_entry *chains[TEXT_TABLE_CHAINS];
    size_t n; /* entries */
};

/* The entry with this key; NULL: there is none. */
struct text_entry *text_table_find(const struct text_table *t, const char *key);

/* Puts an entry in, whose key is set and is not in the table. */
void text_table_add(struct text_table *t, struct text_entry *entry);

/* Takes an entry out that is in it. */
void text_table_remove(struct text_table *t, struct text_entry *entry);

/* Empties the table, handing each entry to free_entry. */
void text_table_clear(struct text_table *t, void (*free_entry)(struct text_entry *entry));

#endif
