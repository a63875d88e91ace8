/* The oldest reservation that a pass has left. */
#include "release/left.h"

#include "release/release.h"

#include <stdlib.h>
#include <string.h>

static bool is_left(enum outcome outcome)
{
    return outcome == OUTCOME_NONE || outcome == OUTCOME_UNKNOWN || outcome == OUTCOME_FAULT;
}

const struct item *left_first(const struct item *items, size_t n)
{
    const struct item *first = NULL;
    for (size_t i = 0; i < n; i++)
        if (is_left(items[i].outcome) && (first == NULL || items[i].expires_us < first->expires_us))
            first = &items[i];
    return first;
}

void left_note(struct left *left, const struct item *items, size_t n)
{
    const struct item *item = left_first(items, n);
    if (item == NULL || (left->id != NULL && item->expires_us >= left->expired_us))
        return;
    free(left->id);
    left->id = strdup(item->id); /* out of memory: the next pass names it */
    left->expired_us = item->expires_us;
}

void left_clear(struct left *left)
{
    free(left->id);
    *left = (struct left){.id = NULL};
}
