/* The items of a plan in their order, and the ranges of them that are still to be tried. */
#include "release/plan_private.h"

#include "release/locked.h"

#include <assert.h>

#define WATCHED_MOST 4 /* of a batch's, by themselves */

static enum group group_of(const struct plan *p, const struct item *item, enum id_kind kind)
{
    if (!item->from_postgres && !parse_id_valid(kind, item->id, item->id_len))
        return GROUP_INVALID;
    if (item->attempts > 0)
        return GROUP_REFUSED;
    return locked_inside(p->options.locked, item->id) ? GROUP_LOCKED : GROUP_FREE;
}

void plan_push(struct plan *p, struct range range)
{
    assert(range.n > 0 && range.first + range.n <= p->end[GROUP_REFUSED]);
    assert(p->depth < sizeof(p->stack) / sizeof(p->stack[0]));
    p->stack[p->depth++] = range;
}

void plan_halve(struct plan *p, enum release_way way, bool search)
{
    struct range r = p->current;
    size_t half = r.n / 2;
    assert(r.n > 1);
    plan_push(p, (struct range){r.first + half, r.n - half, way, search});
    plan_push(p, (struct range){r.first, half, way, search});
}

void plan_mark(struct plan *p, struct range range, enum outcome outcome)
{
    for (size_t i = range.first; i < range.first + range.n; i++)
        p->order[i]->outcome = outcome;
}

void plan_give_up(struct plan *p, enum outcome outcome)
{
    for (size_t i = 0; i < p->end[GROUP_INVALID]; i++)
        if (p->order[i]->outcome == OUTCOME_NONE)
            p->order[i]->outcome = outcome;
    p->doubted = false; /* that is an outcome now, whatever becomes of the statements */
    p->stage = STAGE_DONE;
}

bool plan_at_known(const struct plan *p)
{
    return p->stage == STAGE_TOGETHER && p->current.first >= p->end[GROUP_FREE];
}

/* Those known to be locked, together, so that the end of one lock releases all; a few by
 * themselves, if they are to be watched. */
static void push_known(struct plan *p, int64_t mono_us)
{
    const size_t begin = p->end[GROUP_FREE], end = p->end[GROUP_LOCKED];
    size_t first = begin;
    while (first < end && first - begin < WATCHED_MOST &&
           locked_wants_watch(p->options.locked, p->order[first]->id, mono_us))
        first++;
    if (first < end)
        plan_push(p, (struct range){first, end - first, RELEASE_CAREFUL, false});
    while (first-- > begin)
        plan_push(p, (struct range){first, 1, RELEASE_CAREFUL, false});
}

bool plan_is_bulk(enum release_way way)
{
    return way == RELEASE_BULK || way == RELEASE_BACKLOG;
}

static enum release_way first_way(const struct plan *p, const struct plan_table *table)
{
    if (!p->wants_bulk)
        return RELEASE_CAREFUL;
    if (p->placed && table->backlog)
        return RELEASE_BACKLOG;
    return table->bulk ? RELEASE_BULK : RELEASE_CAREFUL;
}

void plan_arrange(struct plan *p, const struct plan_table *table, int64_t mono_us)
{
    size_t n = 0;
    for (enum group group = GROUP_FREE; group < GROUPS; group++) {
        for (size_t i = 0; i < p->n_items; i++)
            if (p->items[i].outcome == OUTCOME_NONE &&
                group_of(p, &p->items[i], table->id_kind) == group)
                p->order[n++] = &p->items[i];
        p->end[group] = n;
    }
    p->generation = table->generation;
    p->limited = table->limited;
    p->stage = STAGE_TOGETHER;
    p->first = first_way(p, table);
    p->depth = 0;
    p->counters = 0;
    p->works = p->doubted = p->proved = false;
    p->met = (struct conflicts){.limits = &conflict_limits_first};
    p->known_met = (struct conflicts){.limits = &conflict_limits_known};
    push_known(p, mono_us);
    if (p->end[GROUP_FREE] > 0)
        plan_push(p, (struct range){0, p->end[GROUP_FREE], p->first, false});
}
