/* The course of a list: what Redis has recorded, or Postgres says is due; the filter; and what is
 * done about it. */
#include "app/desk_list_private.h"

#include "base/parse.h"
#include "base/time_units.h"
#include "queue/records.h"
#include "queue/repair.h"
#include "release/breakers.h"
#include "release/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONG_AGO_MS 1 /* of a record that names no time */

static struct desk_list *list_of(struct desk *d)
{
    return (struct desk_list *)d;
}

/* Redis is needed, and away: true. */
static bool without_redis(struct desk_list *l)
{
    if (desk_has_redis(&l->desk))
        return false;
    desk_list_fail(l, "Redis is out of reach", l->desk.redis_error);
    return true;
}

/* ---- records ---- */

static void on_walked(void *arg, const char *cursor, const struct due_found *found, size_t n,
                      const char *error)
{
    struct desk_list *l = arg;
    if (!desk_answered(&l->desk))
        return;
    if (error != NULL)
        desk_list_fail(l, "Redis cannot be asked", error);
    for (size_t i = 0; i < n; i++) {
        struct desk_line *line = desk_lines_add(&l->found.lines, found[i].id.text, found[i].id.len);
        if (line == NULL)
            break;
        desk_line_record(line, found[i].value.text, found[i].value.len, l->kept);
        if (l->wish.act != DESK_SHOW)
            desk_line_forget(line);
    }
    free(l->cursor);
    l->cursor = error == NULL ? strdup(cursor) : NULL;
    if (l->cursor != NULL && strcmp(l->cursor, "0") != 0)
        l->desk.step--;
    desk_go_on(&l->desk);
}

static bool walk(struct desk_list *l, bool kept)
{
    bool begins = l->cursor == NULL || l->kept != kept || strcmp(l->cursor, "0") == 0;
    if (!desk_list_well(l) || without_redis(l))
        return false;
    l->kept = kept;
    int rc = due_queue_walk(l->desk.parts->queue, kept ? DUE_IN_KEPT : DUE_IN_FAILED,
                            begins ? "0" : l->cursor, on_walked, l);
    if (rc != 0)
        desk_list_fail(l, "Redis is out of reach", "");
    return desk_asked(&l->desk, rc);
}

static bool acts_on_all(const struct desk_list *l)
{
    return l->wish.act != DESK_SHOW && l->wish.id == NULL;
}

static bool find_failed(struct desk *d)
{
    struct desk_list *l = list_of(d);
    return (desk_list_shows(l, LIST_FAILED) || acts_on_all(l)) && walk(l, false);
}

static bool find_kept(struct desk *d)
{
    struct desk_list *l = list_of(d);
    bool retries = acts_on_all(l) && l->wish.act == DESK_RETRY;
    return (desk_list_shows(l, LIST_KEPT) || retries) && walk(l, true);
}

/* ---- what Redis has of some ---- */

static enum desk_state state_of(const struct due_state *state)
{
    if (state->inflight.text != NULL)
        return DESK_CLAIMED;
    return state->pending.text != NULL ? DESK_WAITING : DESK_NOWHERE;
}

static void read_state(struct desk_line *line, const struct due_state *state)
{
    if (state->record.text != NULL)
        desk_line_record(line, state->record.text, state->record.len, false);
    else if (state->kept.text != NULL)
        desk_line_record(line, state->kept.text, state->kept.len, true);
    else
        line->state = state_of(state);
}

static void on_lookup(void *arg, const struct due_state *states, size_t n, const char *error)
{
    struct desk_list *l = arg;
    if (!desk_answered(&l->desk))
        return;
    for (size_t i = 0; i < n; i++)
        read_state(&l->found.lines.all[l->at + i], &states[i]);
    if (error != NULL)
        desk_list_unknown(l, "Redis cannot be asked", error);
    l->at += l->n;
    l->desk.step--;
    desk_go_on(&l->desk);
}

static size_t entries_of(struct desk_list *l, struct due_entry entries[DUE_QUEUE_SCRIPT_MAX])
{
    const struct desk_lines *lines = &l->found.lines;
    size_t n = 0;
    for (; n < DUE_QUEUE_SCRIPT_MAX && l->at + n < lines->n; n++) {
        const struct desk_line *line = &lines->all[l->at + n];
        entries[n] = (struct due_entry){.id = line->id,
                                        .id_len = line->id_len,
                                        .at_ms = line->past_ms > 0 ? line->past_ms : LONG_AGO_MS};
    }
    l->n = n;
    return n;
}

/* Of those that Postgres has named, and of the one that is named. */
static bool look_up(struct desk *d)
{
    struct desk_list *l = list_of(d);
    struct due_entry entries[DUE_QUEUE_SCRIPT_MAX];
    bool named = l->wish.act != DESK_SHOW && l->wish.id != NULL;
    if (!desk_list_well(l) ||
        !(named || desk_list_shows(l, LIST_DUE) || desk_list_shows(l, LIST_LOCKED)))
        return false;
    if (named && l->found.lines.n == 0)
        (void)desk_lines_add(&l->found.lines, l->wish.id, strlen(l->wish.id));
    if (!desk_has_redis(d) && !named) {
        desk_list_unknown(l, "Redis is out of reach", d->redis_error);
        for (size_t i = 0; i < l->found.lines.n; i++)
            l->found.lines.all[i].state = DESK_UNKNOWN;
        return false;
    }
    if (without_redis(l))
        return false;
    size_t n = entries_of(l, entries);
    if (n > 0 && desk_asked(d, due_queue_lookup(d->parts->queue, entries, n, on_lookup, l)))
        return true;
    l->at = 0;
    return false;
}

/* ---- the filter, and what is done ---- */

static bool filter(struct desk *d)
{
    struct desk_list *l = list_of(d);
    const struct desk_filter filter = {.product = l->wish.product,
                                       .sqlstate = l->wish.sqlstate,
                                       .after = l->wish.after,
                                       .queue = l->found.config->queue->name};
    desk_lines_page(&l->found.lines, &filter, l->wish.limit);
    if (l->found.lines.failed)
        desk_list_fail(l, "out of memory", "");
    l->at = 0;
    return false;
}

/* What is shown is all that need be asked for, where products are no part of the filter. */
static bool filter_early(struct desk *d)
{
    return list_of(d)->wish.product == NULL && filter(d);
}

static void note_done(struct desk_list *l, size_t done, size_t claimed, const char *error)
{
    if (!desk_answered(&l->desk))
        return;
    l->found.done += done;
    l->found.claimed += claimed;
    if (error != NULL)
        desk_list_fail(l, "Redis could not be told", error);
    l->at += l->n;
    l->desk.step--;
    desk_go_on(&l->desk);
}

static void on_retried(void *arg, size_t retried, size_t claimed, const char *error)
{
    note_done(arg, retried, claimed, error);
}

static void on_forgotten(void *arg, size_t n, const char *error)
{
    note_done(arg, n, 0, error);
}

/* What was looked for: of a kept one there is nothing to be forgotten. */
static bool has_record(const struct desk_list *l)
{
    enum desk_state state = l->found.lines.n > 0 ? l->found.lines.all[0].state : DESK_UNKNOWN;
    return state == DESK_REFUSED || (state == DESK_KEPT && l->wish.act == DESK_RETRY);
}

static bool act(struct desk *d)
{
    struct desk_list *l = list_of(d);
    if (l->wish.look) {
        l->found.has = has_record(l);
        return false;
    }
    struct due_entry entries[DUE_QUEUE_SCRIPT_MAX];
    struct due_queue *queue = d->parts->queue;
    if (l->wish.act == DESK_SHOW || !desk_list_well(l) || l->at == l->found.lines.n ||
        without_redis(l))
        return false;
    size_t n = entries_of(l, entries);
    breakers_forget(d->parts->breakers); /* whoever asks has perhaps removed the cause */
    int rc = l->wish.act == DESK_RETRY ? due_queue_retry(queue, entries, n, on_retried, l)
                                       : due_queue_forget(queue, entries, n, on_forgotten, l);
    if (rc != 0)
        desk_list_fail(l, "Redis is out of reach", "");
    return desk_asked(d, rc);
}

/* ---- the whole ---- */

static void finish(struct desk *d)
{
    struct desk_list *l = list_of(d);
    l->done(l->arg, &l->found);
}

static void free_list(struct desk *d)
{
    struct desk_list *l = list_of(d);
    desk_lines_clear(&l->found.lines);
    free(l->cursor);
    free(l);
}

struct desk_list *desk_list_new(struct parts *parts, const struct desk_wish *wish,
                                void (*done)(void *arg, struct desk_found *found), void *arg)
{
    static desk_step *const steps[] = {find_failed,        find_kept, desk_find_due,
                                       desk_find_locked,   look_up,   filter_early,
                                       desk_find_products, filter,    act};
    struct desk_list *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    bool acts = wish->act != DESK_SHOW;
    bool of_records = !acts && (wish->what == LIST_FAILED || wish->what == LIST_KEPT);
    l->work = (struct desk_work){.application = "reservation-sweeper list",
                                 .without_postgres = acts && wish->product == NULL,
                                 .needs_redis = acts || of_records,
                                 .steps = steps,
                                 .nsteps = sizeof(steps) / sizeof(steps[0]),
                                 .done = finish,
                                 .free = free_list};
    l->wish = *wish;
    l->found.config = parts->config;
    l->done = done;
    l->arg = arg;
    if (desk_open(&l->desk, parts, &l->work) == 0)
        return l;
    desk_close(&l->desk);
    return NULL;
}

void desk_list_free(struct desk_list *l)
{
    if (l != NULL)
        desk_close(&l->desk);
}
