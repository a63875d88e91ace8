/* What late reservations say of the queue. */
#include "feed/overdue_judge.h"

#include <assert.h>

/* What counts in two polls running; while each finds others (a backlog), what this one found. */
static const struct late_row *find_oldest(const struct late *now, const struct late *before,
                                          bool confirm)
{
    const struct late_row *first = NULL;
    for (size_t i = 0; i < now->n; i++) {
        const struct late_row *row = &now->rows[i];
        if (!late_counts(row->kind))
            continue;
        const struct late_row *was = late_find(before, row->id);
        if (!confirm || (was != NULL && late_counts(was->kind)))
            return row;
        if (first == NULL)
            first = row;
    }
    for (size_t i = 0; i < before->n; i++)
        if (late_counts(before->rows[i].kind))
            return first;
    return NULL;
}

static int64_t pause_us(int64_t cost_us, bool late)
{
    int64_t us = late ? cost_us * OVERDUE_AGAIN_FACTOR : OVERDUE_IDLE_US - cost_us;
    int64_t least_us = late ? OVERDUE_AGAIN_MIN_US : OVERDUE_IDLE_MIN_US;
    if (late && us > OVERDUE_AGAIN_MAX_US)
        us = OVERDUE_AGAIN_MAX_US;
    return us > least_us ? us : least_us;
}

struct overdue_verdict overdue_judge(const struct late *now, const struct late *before,
                                     bool confirm, int most, int64_t cost_us)
{
    assert(most == OVERDUE_MOST || most == OVERDUE_MOST_HIDDEN);
    struct overdue_verdict v = {.oldest = find_oldest(now, before, confirm), .most = most};
    size_t counts = 0;
    for (size_t i = 0; i < now->n; i++) {
        v.locked += now->rows[i].kind == LATE_LOCKED ? 1 : 0;
        counts += late_counts(now->rows[i].kind) ? 1 : 0;
    }
    /* All that were asked for do not count: there may be more behind them. */
    bool hidden = counts == 0 && now->n >= (size_t)most && most < OVERDUE_MOST_HIDDEN;
    if (hidden)
        v.most = OVERDUE_MOST_HIDDEN;
    else if (now->n < OVERDUE_MOST)
        v.most = OVERDUE_MOST;
    v.pause_us = pause_us(cost_us, counts > 0 || hidden);
    return v;
}

size_t overdue_lost(struct late *now, const struct late *before, bool backlog, int64_t now_us,
                    struct late_row **lost)
{
    size_t n = 0;
    for (size_t i = 0; i < now->n; i++) {
        struct late_row *row = &now->rows[i];
        const struct late_row *was = late_find(before, row->id);
        row->sent_us = was != NULL ? was->sent_us : 0;
        if (row->kind == LATE_LOST && (was != NULL || !backlog) &&
            (row->sent_us == 0 || now_us - row->sent_us > OVERDUE_TELL_AGAIN_US))
            lost[n++] = row;
    }
    return n;
}

void overdue_age(const struct overdue_told *told, int64_t now_us, struct overdue_view *view)
{
    view->silent_us = now_us - (told->told_us > 0 ? told->told_us : told->began_us);
    view->known = told->told_us > 0 && view->silent_us <= OVERDUE_KNOWN_US;
    view->since_us = view->known ? told->since_us : 0;
}
