/* How late the queue is, and whether that is known.
 *
 * A poll brings the late rows (overdue_take); Redis is asked what it has of each, in scripts of at
 * most 1,000; when all have been answered, overdue_judge.c says what they mean, and on_decided is
 * called. While an answer is awaited nothing else is taken. What a pass tells (overdue_note) takes
 * the place of that as long as it is newer. */
#include "feed/overdue.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "feed/late.h"
#include "feed/overdue_judge.h"
#include "link/pg_link.h"
#include "queue/repair.h"
#include "release/locked.h"
#include "release/pages.h"
#include "release/parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

    struct overdue_told told;
    char *id, *product; /* of the oldest; NULL: none */
    size_t locked;
    int64_t again_us;         /* monotonic */
    char why[PG_REASON_SIZE]; /* what went wrong since */
};

struct overdue *overdue_new(struct parts *parts, const struct overdue_options *options)
{
    struct overdue *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return NULL;
    o->parts = parts;
    o->options = *options;
    o->most = OVERDUE_MOST;
    o->told.began_us = clock_mono_us();
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
    o->told.since_us = since_us;
    o->id = strdup(id); /* out of memory: without a name */
    o->product = strdup(product);
}

/* Hands on what is lost. */
static void tell_lost(struct overdue *o, int64_t now_us)
{
    struct late_row **lost =
        o->options.on_lost != NULL ? calloc(o->now.n + 1, sizeof(struct late_row *)) : NULL;
    if (lost == NULL)
        return;
    size_t n = overdue_lost(&o->now, &o->before, o->parts->backlog, now_us, lost);
    if (n > 0 && o->options.on_lost(o->options.arg, (const struct late_row *const *)lost, n))
        for (size_t i = 0; i < n; i++)
            lost[i]->sent_us = now_us;
    free(lost);
}

/* All that Redis says of them is known. */
static void decide(struct overdue *o)
{
    int64_t now_us = clock_mono_us();
    struct overdue_verdict v =
        overdue_judge(&o->now, &o->before, o->options.confirm, o->most, o->cost_us);
    set_oldest(o, v.oldest != NULL ? v.oldest->expires_us : 0, v.oldest != NULL ? v.oldest->id : "",
               v.oldest != NULL ? v.oldest->product : "");
    o->told.told_us = now_us;
    o->why[0] = '\0';
    o->locked = v.locked;
    o->most = v.most;
    o->again_us = now_us + v.pause_us;
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
    bool fault = o->parts->account.fault_since_us > 0;
    for (size_t i = 0; i < n && error == NULL && o->answered < o->now.n; i++) {
        struct late_row *row = &o->now.rows[o->answered++];
        row->kind = late_judge(&states[i], now_ms, fault, locked_has(o->parts->locked, row->id));
    }
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

bool overdue_hidden(const struct overdue *o)
{
    return o->most > OVERDUE_MOST;
}

void overdue_failed(struct overdue *o, const char *why)
{
    int64_t soonest_us = clock_mono_us() + OVERDUE_AGAIN_MIN_US;
    snprintf(o->why, sizeof(o->why), "%s", why);
    if (o->again_us < soonest_us)
        o->again_us = soonest_us;
}

void overdue_note(struct overdue *o, int64_t since_us, const char *id, int64_t then_us)
{
    if (then_us < o->told.told_us)
        return;
    set_oldest(o, since_us, id, "");
    o->told.told_us = then_us;
    o->why[0] = '\0';
}

int64_t overdue_again_us(const struct overdue *o)
{
    return o->asking ? INT64_MAX : o->again_us;
}

void overdue_redis_changed(struct overdue *o)
{
    late_clear(&o->before);
    o->locked = 0;
    o->again_us = 0;
}

void overdue_read(const struct overdue *o, struct overdue_view *view)
{
    memset(view, 0, sizeof(*view));
    overdue_age(&o->told, clock_mono_us(), view);
    view->why = o->why;
    view->id = view->since_us > 0 && o->id != NULL ? o->id : "";
    view->product = view->since_us > 0 && o->product != NULL ? o->product : "";
    view->locked = o->locked;
}
