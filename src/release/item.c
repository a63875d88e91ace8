/* A reservation on its way through a batch. */
#include "release/release.h"

#include "link/pg_array.h"
#include "release/pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACE_TEXT 24 /* bytes of "(4294967295,65535)", with its end, and some */

int item_init(struct item *item, const char *id, size_t id_len)
{
    char *copy = malloc(id_len + 1);
    if (copy != NULL) {
        memcpy(copy, id, id_len);
        copy[id_len] = '\0';
    }
    item_borrow(item, copy, id_len);
    item->copy = copy;
    return copy != NULL ? 0 : -1;
}

void item_borrow(struct item *item, const char *id, size_t id_len)
{
    *item = (struct item){.id = id, .id_len = id_len};
}

void item_clear(struct item *item)
{
    free(item->copy);
    free(item->counter);
    free(item->error);
    free(item->record);
    free(item->products);
    memset(item, 0, sizeof(*item));
}

uint32_t item_attempts(const struct item *item)
{
    return item->attempts + (item->outcome == OUTCOME_FAILED ? 1 : 0);
}

static void put_place(struct pg_array *places, uint64_t place)
{
    char text[PLACE_TEXT];
    int len = snprintf(text, sizeof(text), "(%u,%u)", (unsigned)(place >> PAGES_PLACE_BITS),
                       (unsigned)(place & ((1U << PAGES_PLACE_BITS) - 1)));
    pg_array_add(places, text, (size_t)len);
}

char *item_places(struct item *const *items, size_t n)
{
    struct pg_array places = {0};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < items[i]->n_places; k++)
            put_place(&places, items[i]->places[k]);
    return pg_array_finish(&places);
}
