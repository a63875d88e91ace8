/* How late the queue is, by what the feed sees of it in Postgres. */
#include "overdue.h"

#include "clock.h"
#include "due_queue_reconcile.h"
#include "log.h"
#include "pages.h"
#include "parse.h"
#include "redis_link.h"
#include "sweep.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MIN_US (1000 * 1000)
#define AGAIN_FACTOR 10             /* a look's cost, so many times, is the least pause after it */
#define LOCKED_AHEAD_MS 6000        /* a locked one is put back at most 5 s ahead (backoff.h) */
#define PASS_FRESH_US (5 * 1000000) /* passes begin every half second while Redis is away */

struct overdue {
    struct sweep *sweep;
    bool confirm;
    void (*on_decided)(void *arg);
    void *arg;

    struct due_entry *entries; /* being looked up in Redis, oldest first; at_ms is not used */
    char **ids;                /* of the entries */
    int64_t *expires_us;
    size_t n;
    bool asking;
    int64_t cost_us; /* how long Postgres took */

    int64_t since_us; /* what the last look found; 0: nothing */
    char *id;
    size_t failed, locked;
    int64_t before_us; /* what the look before it found */
    int64_t again_us;

    bool redis_up;
    int64_t on_time_us; /* monotonic, without Redis: all that was due then has been released */
};

struct overdue *overdue_new(struct sweep *sweep, bool confirm, void (*on_decided)(void *arg),
                            void *arg)
{
    struct overdue *o = calloc(1, sizeof(*o));
    if (o == NULL)
        return NULL;
    o->sweep = sweep;
    o->confirm = confirm;
    o->on_decided = on_decided;
    o->arg = arg;
    o->again_us = INT64_MAX;
    o->redis_up = true;
    return o;
}

static void clear_entries(struct overdue *o)
{
    for (size_t i = 0; i < o->n; i++)
        free(o->ids[i]);
    free(o->ids);
    free(o->entries);
    free(o->expires_us);
    o->ids = NULL;
    o->entries = NULL;
    o->expires_us = NULL;
    o->n = 0;
}

void overdue_free(struct overdue *o)
{
    if (o == NULL)
        return;
    assert(!o->asking); /* the queue, which calls back, is closed before */
    clear_entries(o);
    free(o->id);
    free(o);
}

/* first: the oldest that counts; n when none does. */
static void decide(struct overdue *o, size_t first, size_t failed, size_t locked)
{
    int64_t now_us = clock_mono_us();
    int64_t pause_us = o->cost_us * AGAIN_FACTOR;
    o->before_us = o->since_us;
    free(o->id);
    o->id = NULL;
    o->since_us = 0;
    o->again_us = INT64_MAX;
    if (first < o->n) {
        o->since_us = o->expires_us[first];
        o->id = o->ids[first];
        o->ids[first] = NULL; /* free(NULL) follows */
        o->again_us = now_us + (pause_us > AGAIN_MIN_US ? pause_us : AGAIN_MIN_US);
    }
    o->failed = failed;
    o->locked = locked;
    clear_entries(o);
    o->on_decided(o->arg);
}

/* It is put back a little ahead, to be tried again. What stands in Redis at a much later time than
 * its row says was not locked: nobody will look. */
static bool waits(const struct due_state *state, int64_t now_ms)
{
    int64_t at_ms;
    return state->pending.text != NULL &&
           parse_score_ms(state->pending.text, state->pending.len, &at_ms) == 0 && at_ms > now_ms &&
           at_ms <= now_ms + LOCKED_AHEAD_MS;
}

static void on_states(void *arg, const struct due_state *states, size_t n, const char *error)
{
    struct overdue *o = arg;
    int64_t now_ms = server_clock_now_us(&o->sweep->pg_clock) / 1000;
    size_t first = o->n, failed = 0, locked = 0;
    o->asking = false;
    if (error != NULL) {
        log_event(LOG_DEBUG, "What is overdue could not be looked up in Redis", LOG_STR, "error",
                  error, LOG_END);
        if (!o->confirm) { /* nobody will look again: as without Redis */
            decide(o, 0, 0, 0);
            return;
        }
        clear_entries(o);
        o->on_decided(o->arg);
        return;
    }
    for (size_t i = 0; i < n && i < o->n; i++) {
        if (states[i].record.text != NULL)
            failed++;
        else if (waits(&states[i], now_ms))
            locked++;
        else if (first == o->n)
            first = i;
    }
    decide(o, first, failed, locked);
}

/* -1: out of memory. */
static int take(struct overdue *o, const struct pages *pages)
{
    size_t n = pages_late_count(pages);
    o->ids = calloc(n + 1, sizeof(char *));
    o->entries = calloc(n + 1, sizeof(*o->entries));
    o->expires_us = calloc(n + 1, sizeof(*o->expires_us));
    if (o->ids == NULL || o->entries == NULL || o->expires_us == NULL)
        return -1;
    for (; o->n < n; o->n++) {
        char *id = strdup(pages_late_id(pages, o->n));
        if (id == NULL)
            return -1;
        o->ids[o->n] = id;
        o->entries[o->n] = (struct due_entry){.id = id, .id_len = strlen(id)};
        o->expires_us[o->n] = pages_late_expires_us(pages, o->n);
    }
    return 0;
}

void overdue_look(struct overdue *o, const struct pages *pages)
{
    if (o->asking)
        return;
    o->cost_us = pages_took_us(pages);
    if (take(o, pages) != 0) {
        clear_entries(o);
        o->on_decided(o->arg);
    } else if (o->n > 0 && o->sweep->queue != NULL &&
               due_queue_examine(o->sweep->queue, o->entries, o->n, on_states, o) == 0) {
        o->asking = true;
    } else {
        decide(o, 0, 0, 0);
    }
}

int64_t overdue_again_us(const struct overdue *o)
{
    return o->asking ? INT64_MAX : o->again_us;
}

void overdue_redis_changed(struct overdue *o, bool up)
{
    if (up == o->redis_up)
        return;
    o->redis_up = up;
    o->since_us = o->before_us = 0;
    o->failed = o->locked = 0;
    o->again_us = INT64_MAX;
    o->on_time_us = clock_mono_us();
}

void overdue_pass_done(struct overdue *o, int64_t began_us)
{
    if (began_us > o->on_time_us)
        o->on_time_us = began_us;
}

void overdue_read(const struct overdue *o, struct overdue_view *view)
{
    int64_t age_us = clock_mono_us() - o->on_time_us;
    memset(view, 0, sizeof(*view));
    view->id = "";
    if (!o->redis_up) {
        if (age_us > PASS_FRESH_US)
            view->since_us = server_clock_now_us(&o->sweep->pg_clock) - age_us;
        return;
    }
    view->failed = o->failed;
    view->locked = o->locked;
    if (o->since_us == 0 || (o->confirm && o->before_us == 0))
        return;
    view->since_us = o->since_us;
    view->id = o->id != NULL ? o->id : "";
    if (o->confirm && o->before_us > view->since_us) { /* no earlier than both looks agree on */
        view->since_us = o->before_us;
        view->id = "";
    }
}
