/* What Redis is asked and told of what a pass reads, where reservations may be kept. */
#include "release/kept_page.h"

#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "link/redis_link.h"
#include "queue/repair.h"
#include "release/keeps.h"
#include "release/kept_record.h"
#include "release/parts.h"
#include "release/release.h"

#include <stdlib.h>

static bool can_tell(const struct parts *parts)
{
    return parts->config->queue->keep.condition.text != NULL && parts->queue != NULL &&
           redis_link_state(parts->redis) == REDIS_LINK_UP;
}

/* ---- asking ---- */

struct question {
    const struct parts *parts;
    struct item *items;
    size_t n, asked, part;
    event_cb *done;
    void *arg;
};

static bool ask(struct question *q);

/* What is known here, of those that Redis said nothing about. */
static void tell_rest(const struct parts *parts, struct item *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        keeps_tell(parts->keeps, &items[i], NULL, 0);
}

static void on_states(void *arg, const struct due_state *states, size_t n, const char *error)
{
    struct question *q = arg;
    for (size_t i = 0; i < n && error == NULL; i++)
        keeps_tell(q->parts->keeps, &q->items[q->asked + i], states[i].kept.text,
                   states[i].kept.len);
    q->asked += error == NULL ? q->part : 0;
    if (error == NULL && q->asked < q->n && ask(q))
        return;
    tell_rest(q->parts, q->items + q->asked, q->n - q->asked);
    q->done(q->arg);
    free(q);
}

/* The next ones, as many as a script takes. */
static bool ask(struct question *q)
{
    size_t left = q->n - q->asked;
    q->part = left < DUE_QUEUE_SCRIPT_MAX ? left : DUE_QUEUE_SCRIPT_MAX;
    struct due_entry *entries = calloc(q->part + 1, sizeof(*entries));
    for (size_t i = 0; entries != NULL && i < q->part; i++) {
        const struct item *item = &q->items[q->asked + i];
        entries[i] = (struct due_entry){.id = item->id, .id_len = item->id_len};
    }
    bool sent = entries != NULL && q->part > 0 &&
                due_queue_lookup(q->parts->queue, entries, q->part, on_states, q) == 0;
    free(entries);
    return sent;
}

bool kept_page_ask(struct parts *parts, struct item *items, size_t n, event_cb *done, void *arg)
{
    bool wanted = can_tell(parts) && parts->config->queue->keep.extend_us > 0;
    struct question *q = wanted ? malloc(sizeof(*q)) : NULL;
    if (q != NULL) {
        *q = (struct question){.parts = parts, .items = items, .n = n, .done = done, .arg = arg};
        if (ask(q))
            return true;
        free(q);
    }
    tell_rest(parts, items, n);
    return false;
}

/* ---- telling ---- */

struct word {
    struct due_settlement *kept;
    size_t n;
    void (*done)(void *arg, const char *error);
    void *arg;
};

static void word_free(struct word *w)
{
    if (w == NULL)
        return;
    free(w->kept);
    free(w);
}

static void on_told(void *arg, size_t changed, const char *error)
{
    struct word *w = arg;
    (void)changed;
    w->done(w->arg, error);
    word_free(w);
}

static struct word *word_new(const struct parts *parts, struct item *items, size_t n)
{
    int64_t now_ms = server_clock_now_us(&parts->pg_clock) / MS_US;
    struct word *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return NULL;
    w->kept = calloc(n + 1, sizeof(*w->kept));
    for (size_t i = 0; i < n && w->kept != NULL; i++) {
        struct item *item = &items[i];
        if (item->outcome != OUTCOME_KEPT)
            continue;
        int64_t at_ms = kept_again_ms(&item->kept, now_ms, &parts->config->queue->keep);
        free(item->record);
        item->record = kept_record_make(&item->kept, at_ms);
        if (item->record != NULL)
            w->kept[w->n++] =
                (struct due_settlement){.id = item->id,
                                        .id_len = item->id_len,
                                        .at_ms = at_ms,
                                        .record = item->record,
                                        .since_ms = item->kept.attention ? item->kept.since_ms : 0};
    }
    return w;
}

bool kept_page_tell(struct parts *parts, struct item *items, size_t n,
                    void (*done)(void *arg, const char *error), void *arg)
{
    struct word *w = can_tell(parts) ? word_new(parts, items, n) : NULL;
    if (w == NULL || w->n == 0) {
        word_free(w);
        return false;
    }
    w->done = done;
    w->arg = arg;
    if (due_queue_keep(parts->queue, w->kept, w->n, on_told, w) == 0)
        return true;
    word_free(w);
    return false;
}
