/* From Redis to Postgres: what stands in :pending, :inflight and :failed, by scans. Entries whose
 * row was just read need no question; the others are looked up. */
#include "config.h"
#include "parse.h"
#include "reconcile_private.h"
#include "sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MOST 3000 /* ids in one question to Postgres */

struct stray {
    char *id;
    size_t id_len;
    int64_t score_ms;
};

struct entries {
    enum due_place place;
    char cursor[32];
    bool scanning;
    struct stray *strays; /* to be looked up */
    size_t n, room;
};

static void scan(struct reconcile *r);

static void clear_strays(struct entries *e)
{
    for (size_t i = 0; i < e->n; i++)
        free(e->strays[i].id);
    e->n = 0;
}

/* ---- pending ---- */

/* An entry whose row is not active is removed when it has been due for longer than a lease: nobody
 * looks at it. One that waits for its time is the sweeper's to forget. */
static void judge_stray(struct reconcile *r, const struct stray *s, const struct look *look)
{
    int64_t now_us = reconcile_now_us(r);
    if (look->active)
        return;
    if (!look->found || s->score_ms * 1000 < now_us - r->sweep->config->lease_us)
        again_add(r, SUSPECT_ORPHANED, s->id, s->id_len, 0, RECONCILE_AGAIN_US);
    else if (seen_add(r->seen, SEEN_SPENT, s->id, s->id_len))
        r->result.spent++;
}

static void go_on(struct reconcile *r);

static void on_looks(struct reconcile *r, void *arg, const struct look *looks)
{
    struct entries *e = r->entries;
    (void)arg;
    for (size_t i = 0; i < e->n && !reconcile_over(r); i++)
        judge_stray(r, &e->strays[i], &looks[i]);
    clear_strays(e);
    go_on(r);
}

static void look_up(struct reconcile *r)
{
    struct entries *e = r->entries;
    struct due_entry *entries = calloc(e->n, sizeof(*entries));
    if (entries == NULL) {
        reconcile_fail(r, "out of memory");
        return;
    }
    for (size_t i = 0; i < e->n; i++)
        entries[i] = (struct due_entry){.id = e->strays[i].id, .id_len = e->strays[i].id_len};
    look_ask(r, entries, e->n, on_looks, NULL);
    free(entries);
}

static int add_stray(struct entries *e, const struct due_found *found, int64_t score_ms)
{
    if (e->n == e->room) {
        size_t room = e->room == 0 ? 256 : e->room * 2;
        struct stray *strays = realloc(e->strays, room * sizeof(*strays));
        if (strays == NULL)
            return -1;
        e->strays = strays;
        e->room = room;
    }
    char *id = malloc(found->id.len + 1);
    if (id == NULL)
        return -1;
    memcpy(id, found->id.text, found->id.len + 1);
    struct stray *to = &e->strays[e->n++];
    to->id = id;
    to->id_len = found->id.len;
    to->score_ms = score_ms;
    return 0;
}

/* ---- all three ---- */

static int take(struct reconcile *r, const struct due_found *found)
{
    int64_t score_ms = 0;
    switch (r->entries->place) {
    case DUE_IN_PENDING:
        if (seen_has(r->seen, SEEN_ACTIVE, found->id.text, found->id.len))
            return 0;
        (void)!parse_score_ms(found->value.text, found->value.len, &score_ms);
        return add_stray(r->entries, found, score_ms);
    case DUE_IN_INFLIGHT:
        if (parse_score_ms(found->value.text, found->value.len, &score_ms) == 0 &&
            score_ms * 1000 < reconcile_now_us(r))
            again_add(r, SUSPECT_LEASE, found->id.text, found->id.len, score_ms,
                      RECONCILE_AGAIN_US);
        return 0;
    case DUE_IN_FAILED:
        again_add(r, SUSPECT_RECORD, found->id.text, found->id.len, 0, RECONCILE_AGAIN_US);
        return 0;
    }
    return 0;
}

static void on_scanned(void *arg, const char *cursor, const struct due_found *found, size_t n,
                       const char *error)
{
    struct reconcile *r = arg;
    struct entries *e = r->entries;
    if (!reconcile_answered(r, error))
        return;
    e->scanning = false;
    r->done += (int64_t)n;
    snprintf(e->cursor, sizeof(e->cursor), "%s", cursor);
    if (strcmp(cursor, "0") != 0 && e->n + n < LOOK_MOST && !again_full(r))
        scan(r); /* Redis works on the next step meanwhile */
    for (size_t i = 0; i < n; i++) {
        if (take(r, &found[i]) != 0) {
            reconcile_fail(r, "out of memory");
            return;
        }
    }
    go_on(r);
}

static void scan(struct reconcile *r)
{
    struct entries *e = r->entries;
    e->scanning = true;
    reconcile_sent(r, due_queue_scan(r->sweep->queue, e->place, e->cursor, on_scanned, r));
}

/* After each scan and each look: the next of either, or the end. */
static void go_on(struct reconcile *r)
{
    struct entries *e = r->entries;
    bool over = strcmp(e->cursor, "0") == 0;
    if (reconcile_over(r) || e->scanning)
        return;
    if (e->n >= LOOK_MOST || (over && e->n > 0))
        look_up(r);
    else if (over)
        reconcile_next(r);
    else if (again_full(r))
        again_drain(r, false, scan);
    else
        scan(r);
}

static void on_sizes(void *arg, const struct due_sizes *sizes, const char *error)
{
    struct reconcile *r = arg;
    if (!reconcile_answered(r, error))
        return;
    const int64_t totals[] = {
        [DUE_IN_PENDING] = sizes->pending,
        [DUE_IN_INFLIGHT] = sizes->inflight,
        [DUE_IN_FAILED] = sizes->failed,
    };
    r->total = totals[r->entries->place];
    scan(r);
}

static void start(struct reconcile *r, enum due_place place)
{
    r->entries->place = place;
    strcpy(r->entries->cursor, "0");
    reconcile_sent(r, due_queue_sizes(r->sweep->queue, on_sizes, r));
}

void entries_start_pending(struct reconcile *r)
{
    start(r, DUE_IN_PENDING);
}

void entries_start_inflight(struct reconcile *r)
{
    start(r, DUE_IN_INFLIGHT);
}

void entries_start_failed(struct reconcile *r)
{
    start(r, DUE_IN_FAILED);
}

int entries_new(struct reconcile *r)
{
    r->entries = calloc(1, sizeof(*r->entries));
    return r->entries != NULL ? 0 : -1;
}

void entries_free(struct entries *e)
{
    if (e == NULL)
        return;
    clear_strays(e);
    free(e->strays);
    free(e);
}
