/* From Redis to Postgres: what stands in :pending, in the order of its scores, and in :leases,
 * :inflight and :failed, by walks of Redis's own. All of them end with recheck.c: what is met here
 * is suspected, no more; but for what stands in :leases and is no batch, which needs no second
 * look.
 *
 * :pending is read a thousand entries at a time, each time from the last score on: an entry that
 * stays is met, whatever comes and goes. That score's entries are met again as a whole, so they are
 * left out before; only where a thousand have the same score it goes on after an id. An entry whose
 * row rows.c has just read needs no question (seen.h); the rest are `strays`, looked up in Postgres
 * three thousand at a time, while Redis reads on.
 *
 * What must hold: nothing is read while recheck.c is full; the lookup's answer is of the strays as
 * they were when it was asked, so none is added while it is under way (`reading` is false then). */
#include "reconcile/entries.h"

#include "base/parse.h"
#include "base/time_units.h"
#include "queue/repair.h"
#include "reconcile/found.h"
#include "reconcile/lookup.h"
#include "reconcile/recheck.h"
#include "reconcile/run.h"
#include "reconcile/seen.h"
#include "release/parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUP_MOST 3000 /* ids in one question to Postgres */

struct stray {
    char *id;
    size_t id_len;
    int64_t score_ms;
};

struct entries {
    void (*read)(struct reconcile *r); /* asks for the next of what is gone through */
    enum due_place place;              /* of a walk */
    char cursor[32];
    char from[40]; /* in pending: the score that is next */
    char *from_id; /* ... and which of those was last, when they are very many */
    size_t from_id_len;
    bool reading, over;
    struct stray *strays; /* to be looked up */
    size_t n, room;
};

static void clear_strays(struct entries *e)
{
    for (size_t i = 0; i < e->n; i++)
        free(e->strays[i].id);
    e->n = 0;
}

/* ---- pending ---- */

static void judge(struct reconcile *r, const struct judge_times *times, const struct stray *s,
                  const struct lookup *row)
{
    switch (judge_entry(times, s->score_ms, row)) {
    case ENTRY_FINE:
        break;
    case ENTRY_STALE:
        recheck_add(r, SUSPECT_STALE, s->id, s->id_len, 0, JUDGE_AGAIN_US);
        break;
    case ENTRY_SPENT:
        if (seen_add(r->seen, SEEN_SPENT, s->id, s->id_len))
            r->result.counts[COUNT_SPENT]++;
        break;
    }
}

static void go_on(struct reconcile *r);

static void on_rows(struct reconcile *r, void *arg, const struct lookup *rows)
{
    struct entries *e = r->entries;
    const struct judge_times times = found_times(r);
    (void)arg;
    for (size_t i = 0; i < e->n && !run_ending(r); i++)
        judge(r, &times, &e->strays[i], &rows[i]);
    clear_strays(e);
    go_on(r);
}

static void look_up(struct reconcile *r)
{
    struct entries *e = r->entries;
    struct due_entry *entries = calloc(e->n, sizeof(*entries));
    if (entries == NULL) {
        run_fail(r, "out of memory");
        return;
    }
    for (size_t i = 0; i < e->n; i++)
        entries[i] = (struct due_entry){.id = e->strays[i].id, .id_len = e->strays[i].id_len};
    lookup_ask(r, entries, e->n, false, on_rows, NULL);
    free(entries);
}

static int add_stray(struct entries *e, const struct due_found *found)
{
    int64_t score_ms = 0;
    (void)!parse_score_ms(found->value.text, found->value.len, &score_ms);
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

static bool same_text(const struct due_text *a, const struct due_text *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* Where the next call begins: at the score of the last entry, which is then met as a whole; or,
 * when there is no other score, after that entry. */
static int note_place(struct entries *e, const struct due_found *found, size_t n)
{
    const struct due_found *last = &found[n - 1];
    free(e->from_id);
    e->from_id = NULL;
    snprintf(e->from, sizeof(e->from), "%s", last->value.text);
    if (!same_text(&found[0].value, &last->value))
        return 0;
    e->from_id = malloc(last->id.len + 1);
    if (e->from_id == NULL)
        return -1;
    memcpy(e->from_id, last->id.text, last->id.len + 1);
    e->from_id_len = last->id.len;
    return 0;
}

static int take_pending(struct reconcile *r, const struct due_found *found, size_t n)
{
    struct entries *e = r->entries;
    bool again = !e->over && e->from_id == NULL; /* the last score's will be met again */
    for (size_t i = 0; i < n; i++) {
        if (again && same_text(&found[i].value, &found[n - 1].value))
            break;
        r->done++;
        if (!seen_has(r->seen, SEEN_ACTIVE, found[i].id.text, found[i].id.len) &&
            add_stray(e, &found[i]) != 0)
            return -1;
    }
    return 0;
}

static void on_pending(void *arg, const struct due_found *found, size_t n, const char *error)
{
    struct reconcile *r = arg;
    struct entries *e = r->entries;
    if (!run_answered(r, error))
        return;
    e->reading = false;
    e->over = n < DUE_QUEUE_SCRIPT_MAX;
    bool right = e->over || note_place(e, found, n) == 0;
    if (right && !e->over && e->n + n < LOOKUP_MOST && !recheck_full(r))
        e->read(r); /* Redis works on the next ones meanwhile */
    if (right && take_pending(r, found, n) == 0)
        go_on(r);
    else
        run_fail(r, "out of memory");
}

static void read_pending(struct reconcile *r)
{
    struct entries *e = r->entries;
    const struct due_text from = {e->from, strlen(e->from)};
    const struct due_text id = {e->from_id, e->from_id_len};
    e->reading = true;
    run_sent(r, due_queue_pending(r->parts->queue, &from, e->from_id != NULL ? &id : NULL,
                                  on_pending, r));
}

/* ---- leases, inflight and failed ---- */

static void take(struct reconcile *r, const struct judge_times *times,
                 const struct due_found *found)
{
    int64_t lease_ms = 0;
    if (found->odd)
        found_odd(r, found);
    else if (r->entries->place == DUE_IN_FAILED)
        recheck_add(r, SUSPECT_RECORD, found->id.text, found->id.len, 0, JUDGE_AGAIN_US);
    else if (judge_lease(times, &found->value, &lease_ms))
        recheck_add(r, SUSPECT_LEASE, found->id.text, found->id.len, lease_ms, JUDGE_AGAIN_US);
}

static void on_walked(void *arg, const char *cursor, const struct due_found *found, size_t n,
                      const char *error)
{
    struct reconcile *r = arg;
    struct entries *e = r->entries;
    if (!run_answered(r, error))
        return;
    const struct judge_times times = found_times(r);
    e->reading = false;
    e->over = strcmp(cursor, "0") == 0;
    r->done += (int64_t)n;
    snprintf(e->cursor, sizeof(e->cursor), "%s", cursor);
    for (size_t i = 0; i < n; i++)
        take(r, &times, &found[i]);
    go_on(r);
}

static void walk(struct reconcile *r)
{
    struct entries *e = r->entries;
    e->reading = true;
    run_sent(r, due_queue_walk(r->parts->queue, e->place, e->cursor, on_walked, r));
}

static void walk_leases(struct reconcile *r)
{
    struct entries *e = r->entries;
    e->reading = true;
    run_sent(r,
             due_queue_walk_leases(r->parts->queue, e->cursor, !r->options.dry_run, on_walked, r));
}

/* ---- all of them ---- */

/* What was gone through is over; but claims are in two places. */
static void end(struct reconcile *r)
{
    struct entries *e = r->entries;
    if (e->read != walk_leases) {
        run_next(r);
        return;
    }
    e->read = walk;
    e->over = false;
    walk(r);
}

/* After each answer: the next question of either server, or the end. */
static void go_on(struct reconcile *r)
{
    struct entries *e = r->entries;
    if (run_ending(r) || e->reading)
        return;
    if (e->n >= LOOKUP_MOST || (e->over && e->n > 0))
        look_up(r);
    else if (e->over)
        end(r);
    else if (recheck_full(r))
        recheck_drain(r, false, e->read);
    else
        e->read(r);
}

static void on_sizes(void *arg, const struct due_sizes *sizes, const char *error)
{
    struct reconcile *r = arg;
    const struct entries *e = r->entries;
    if (!run_answered(r, error))
        return;
    if (e->read == read_pending)
        r->total = sizes->pending;
    else
        r->total = e->place == DUE_IN_INFLIGHT ? sizes->inflight : sizes->failed;
    e->read(r);
}

static void start(struct reconcile *r, void (*how)(struct reconcile *r))
{
    struct entries *e = r->entries;
    e->read = how;
    e->over = false;
    snprintf(e->cursor, sizeof(e->cursor), "0");
    snprintf(e->from, sizeof(e->from), "-inf");
    run_sent(r, due_queue_sizes(r->parts->queue, on_sizes, r));
}

void entries_start_pending(struct reconcile *r)
{
    start(r, read_pending);
}

void entries_start_claims(struct reconcile *r)
{
    r->entries->place = DUE_IN_INFLIGHT;
    start(r, walk_leases);
}

void entries_start_failed(struct reconcile *r)
{
    r->entries->place = DUE_IN_FAILED;
    start(r, walk);
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
    free(e->from_id);
    free(e);
}
