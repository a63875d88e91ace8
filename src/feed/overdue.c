/* How late the queue is, and whether that is known. */
#include "feed/overdue.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "feed/late.h"
#include "link/pg_link.h"
#include "queue/repair.h"
#include "release/locked.h"
#include "release/pages.h"
#include "release/parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_US (15 * SECOND_US) /* between looks while nothing is late, less what one takes */
#define IDLE_MIN_US (5 * SECOND_US)
#define AGAIN_MIN_US SECOND_US /* while something is late */
#define AGAIN_MAX_US (8 * SECOND_US)
#define AGAIN_FACTOR 10 /* ... a look's cost, so many times, up to that */
#define TELL_AGAIN_US (30 * SECOND_US)
#define LATE_MAX 500
/* While all of those are refused or locked, what comes behind them is looked for too: Redis keeps
 * at most 10,000 records. */
#define LATE_ALL 12000

struct overdue {
    struct parts *parts;
    struct overdue_options options;

    struct late now;           /* being looked up in Redis */
    struct late before;        /* the last that were */
    struct due_entry *entries; /* of `now`; at_ms is not used */
    size_t answered;           /* how many of them Redis has answered */
    bool asking;
    int most;        /* how many to ask Postgres for */
    int64_t cost_us; /* how long it took */

    int64_t since_us;
    char *id, *product; /* NULL: none */
    size_t failed, locked;
    int64_t again_us;
    int64_t began_us;
    int64_t told_us;          /* monotonic; 0: never */
    char why[PG_REASON_SIZE]; /* what went wrong since */
};

struct overdue *overdue_new(struct parts *parts, const struct overdue_options *options)
{
    struct overdue *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return NULL;
    o->parts = parts;
    o->options = *options;
    o->most = LATE_MAX;
    o->began_us = clock_mono_us();
    return o;
}

static void clear_now(struct overdue *o)
{
    late_clear(&o->now);
    free(o->entries);
    o->entries = NULL;
    o->answered = 0;
}

void overdue_free(struct overdue *o)
{
    if (o == NULL)
        return;
    assert(!o->asking); /* the queue, which calls back, is closed before */
    clear_now(o);
    late_clear(&o->before);
    free(o->id);
    free(o->product);
    free(o);
}

static void set_oldest(struct overdue *o, int64_t since_us, const char *id, const char *product)
{
    free(o->id);
    free(o->product);
    o->since_us = since_us;
    o->id = strdup(id); /* out of memory: without a name */
    o->product = strdup(product);
}

/* What counts in two looks running; while each finds others (a backlog), what this one found. */
static const struct late_row *find_oldest(const struct overdue *o)
{
    const struct late_row *first = NULL;
    bool counted = !o->options.confirm;
    for (size_t i = 0; i < o->now.n; i++) {
        const struct late_row *row = &o->now.rows[i];
        if (!late_counts(row->kind))
            continue;
        const struct late_row *was = late_find(&o->before, row->id);
        if (!o->options.confirm || (was != NULL && late_counts(was->kind)))
            return row;
        if (first == NULL)
            first = row;
    }
    for (size_t i = 0; i < o->before.n && !counted; i++)
        counted = late_counts(o->before.rows[i].kind);
    return counted ? first : NULL;
}

/* Hands on what is lost. In a backlog what was just released may look so: seen twice, it is. */
static void tell_lost(struct overdue *o, int64_t now_us)
{
    struct late_row **lost =
        o->options.on_lost != NULL ? calloc(o->now.n + 1, sizeof(struct late_row *)) : NULL;
    size_t n = 0;
    for (size_t i = 0; i < o->now.n && lost != NULL; i++) {
        struct late_row *row = &o->now.rows[i];
        const struct late_row *was = late_find(&o->before, row->id);
        row->sent_us = was != NULL ? was->sent_us : 0;
        if (row->kind == LATE_LOST && (was != NULL || !o->parts->backlog) &&
            (row->sent_us == 0 || now_us - row->sent_us > TELL_AGAIN_US))
            lost[n++] = row;
    }
    if (n > 0 && o->options.on_lost(o->options.arg, (const struct late_row *const *)lost, n))
        for (size_t i = 0; i < n; i++)
            lost[i]->sent_us = now_us;
    free(lost);
}

static int64_t pause_us(int64_t cost_us, bool late)
{
    int64_t us = late ? cost_us * AGAIN_FACTOR : IDLE_US - cost_us;
    int64_t least_us = late ? AGAIN_MIN_US : IDLE_MIN_US;
    if (late && us > AGAIN_MAX_US)
        us = AGAIN_MAX_US;
    return us > least_us ? us : least_us;
}

/* All that Redis says of them is known. */
static void decide(struct overdue *o)
{
    int64_t now_us = clock_mono_us();
    const struct late_row *oldest = find_oldest(o);
    size_t counts = 0;
    o->failed = o->locked = 0;
    for (size_t i = 0; i < o->now.n; i++) {
        o->failed += o->now.rows[i].kind == LATE_REFUSED ? 1 : 0;
        o->locked += o->now.rows[i].kind == LATE_LOCKED ? 1 : 0;
        counts += late_counts(o->now.rows[i].kind) ? 1 : 0;
    }
    set_oldest(o, oldest != NULL ? oldest->expires_us : 0, oldest != NULL ? oldest->id : "",
               oldest != NULL ? oldest->product : "");
    o->told_us = now_us;
    o->why[0] = '\0';
    bool hidden = counts == 0 && o->now.n >= (size_t)o->most && o->most < LATE_ALL;
    if (o->now.n < LATE_MAX)
        o->most = LATE_MAX;
    else if (hidden)
        o->most = LATE_ALL;
    o->again_us = now_us + pause_us(o->cost_us, counts > 0 || hidden);
    tell_lost(o, now_us);
    late_clear(&o->before);
    o->before = o->now;
    o->now = (struct late){.rows = NULL};
    clear_now(o);
    o->options.on_decided(o->options.arg);
}

static void give_up(struct overdue *o, const char *why)
{
    clear_now(o);
    o->again_us = 0;
    overdue_failed(o, why);
    o->options.on_decided(o->options.arg);
}

/* One that is claimed, or due at this moment, may have been met locked each time so far. */
static void judge(struct overdue *o, struct late_row *row, const struct due_state *state,
                  int64_t now_ms)
{
    bool fault = o->parts->account.fault_since_us > 0;
    row->kind = late_judge(state, now_ms, fault);
    if (row->kind == LATE_AT_WORK && !fault && locked_has(o->parts->locked, row->id))
        row->kind = LATE_LOCKED;
}

static void on_states(void *arg, const struct due_state *states, size_t n, const char *error);

static bool ask(struct overdue *o)
{
    size_t left = o->now.n - o->answered;
    size_t n = left < DUE_QUEUE_SCRIPT_MAX ? left : DUE_QUEUE_SCRIPT_MAX;
    o->asking = due_queue_lookup(o->parts->queue, o->entries + o->answered, n, on_states, o) == 0;
    return o->asking;
}

static void on_states(void *arg, const struct due_state *states, size_t n, const char *error)
{
    struct overdue *o = arg;
    int64_t now_ms = server_clock_now_us(&o->parts->pg_clock) / MS_US;
    char why[PG_REASON_SIZE];
    o->asking = false;
    for (size_t i = 0; i < n && error == NULL && o->answered < o->now.n; i++)
        judge(o, &o->now.rows[o->answered++], &states[i], now_ms);
    if (error == NULL && o->answered == o->now.n) {
        decide(o);
    } else if (error != NULL || n == 0 || !ask(o)) {
        snprintf(why, sizeof(why), "what is late could not be looked up in Redis: %s",
                 error != NULL ? error : "it went away");
        give_up(o, why);
    }
}

void overdue_want(const struct overdue *o, struct pages *pages)
{
    pages_want_late(pages, o->most);
}

void overdue_take(struct overdue *o, const struct pages *pages)
{
    if (o->asking)
        return;
    o->cost_us = pages_took_us(pages);
    if (late_take(&o->now, pages) != 0)
        goto fail;
    o->entries = calloc(o->now.n + 1, sizeof(*o->entries));
    if (o->entries == NULL)
        goto fail;
    for (size_t i = 0; i < o->now.n; i++)
        o->entries[i] =
            (struct due_entry){.id = o->now.rows[i].id, .id_len = strlen(o->now.rows[i].id)};
    if (o->now.n > 0 && o->parts->queue != NULL && ask(o))
        return;
    if (o->now.n == 0 || !o->options.confirm) { /* nobody is to be asked, or can be */
        decide(o);
        return;
    }
    give_up(o, "what is late could not be looked up in Redis: it is out of reach");
    return;
fail:
    give_up(o, "out of memory");
}

void overdue_failed(struct overdue *o, const char *why)
{
    int64_t soonest_us = clock_mono_us() + AGAIN_MIN_US;
    snprintf(o->why, sizeof(o->why), "%s", why);
    if (o->again_us < soonest_us)
        o->again_us = soonest_us;
}

void overdue_note(struct overdue *o, int64_t since_us, const char *id, int64_t then_us)
{
    if (then_us < o->told_us)
        return;
    set_oldest(o, since_us, id, "");
    o->told_us = then_us;
    o->why[0] = '\0';
}

int64_t overdue_again_us(const struct overdue *o)
{
    return o->asking ? INT64_MAX : o->again_us;
}

void overdue_redis_changed(struct overdue *o)
{
    late_clear(&o->before);
    o->locked = o->failed = 0;
    o->again_us = 0;
}

void overdue_read(const struct overdue *o, struct overdue_view *view)
{
    memset(view, 0, sizeof(*view));
    view->silent_us = clock_mono_us() - (o->told_us > 0 ? o->told_us : o->began_us);
    view->known = o->told_us > 0 && view->silent_us <= OVERDUE_KNOWN_US;
    view->why = o->why;
    view->since_us = view->known ? o->since_us : 0;
    view->id = view->since_us > 0 && o->id != NULL ? o->id : "";
    view->product = view->since_us > 0 && o->product != NULL ? o->product : "";
    view->failed = o->failed;
    view->locked = o->locked;
}
