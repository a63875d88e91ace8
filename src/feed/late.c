/* Reservations that should have been released by now, and what Redis has of each. */
#include "feed/late.h"

#include "base/parse.h"
#include "queue/repair.h"
#include "release/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int compare_id(const void *id, const void *row)
{
    const struct late_row *const *r = row;
    return strcmp(id, (*r)->id);
}

static int compare_rows(const void *a, const void *b)
{
    const struct late_row *const *r = a;
    return compare_id((*r)->id, b);
}

void late_index(struct late *l)
{
    for (size_t i = 0; i < l->n; i++)
        l->by_id[i] = &l->rows[i];
    qsort(l->by_id, l->n, sizeof(struct late_row *), compare_rows);
}

int late_take(struct late *l, const struct pages *pages)
{
    assert(l->rows == NULL && l->by_id == NULL);
    size_t n = pages_late_count(pages);
    l->rows = calloc(n + 1, sizeof(*l->rows));
    l->by_id = calloc(n + 1, sizeof(struct late_row *));
    if (l->rows == NULL || l->by_id == NULL)
        return -1;
    for (; l->n < n; l->n++) {
        struct late_row *row = &l->rows[l->n];
        row->id = strdup(pages_late_id(pages, l->n));
        row->product = strdup(pages_late_product(pages, l->n));
        row->expires_us = pages_late_expires_us(pages, l->n);
        if (row->id == NULL || row->product == NULL) {
            l->n++; /* for late_clear */
            return -1;
        }
    }
    late_index(l);
    return 0;
}

void late_clear(struct late *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->rows[i].id);
        free(l->rows[i].product);
    }
    free(l->rows);
    free(l->by_id);
    *l = (struct late){.rows = NULL};
}

const struct late_row *late_find(const struct late *l, const char *id)
{
    struct late_row *const *found =
        l->n > 0 ? bsearch(id, l->by_id, l->n, sizeof(struct late_row *), compare_id) : NULL;
    return found != NULL ? *found : NULL;
}

/* Where it stands in Redis, and what that says. */
static enum late_kind judge_entry(const struct due_state *state, int64_t now_ms, bool fault)
{
    int64_t at_ms = INT64_MAX;
    if (state->inflight.text != NULL)
        return LATE_AT_WORK;
    if (state->pending.text == NULL ||
        parse_score_ms(state->pending.text, state->pending.len, &at_ms) != 0 ||
        at_ms > now_ms + LATE_LOCKED_AHEAD_MS)
        return LATE_LOST;
    return at_ms > now_ms && !fault ? LATE_LOCKED : LATE_AT_WORK;
}

enum late_kind late_judge(const struct due_state *state, int64_t now_ms, bool fault, bool locked)
{
    if (state->record.text != NULL)
        return LATE_REFUSED;
    if (state->kept.text != NULL)
        return LATE_KEPT;
    enum late_kind kind = judge_entry(state, now_ms, fault);
    return kind == LATE_AT_WORK && locked && !fault ? LATE_LOCKED : kind;
}

bool late_counts(enum late_kind kind)
{
    return kind == LATE_AT_WORK || kind == LATE_LOST;
}
