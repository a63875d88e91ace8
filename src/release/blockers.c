/* Asks Postgres who holds locked what has been locked for long. */
#include "release/blockers.h"

#include "base/clock.h"
#include "base/int_text.h"
#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "release/cut_off.h"
#include "release/locked.h"
#include "release/parts.h"
#include "release/release.h"
#include "release/standby_wait.h"
#include "store/mapping.h"
#include "store/questions.h"
#include "store/statements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK_US SECOND_US
#define BACKOFF_MIN_US SECOND_US
#define BACKOFF_MAX_US (10 * SECOND_US)
#define TABLES_US (5 * SECOND_US) /* how often a table is looked at that was held */
#define AGAIN_US (2 * SECOND_US)  /* ... and a commit that waits, or who has the releases' lock */
#define IDLE_US MINUTE_US         /* nothing to ask for so long: the connection is closed */
#define ASKED_MOST 100            /* in one question */
#define LOCK_US (20 * MS_US)
#define STATEMENT_US SECOND_US

struct blockers {
    struct parts *parts;
    struct pg_link *link; /* NULL: none at present */
    struct timer *tick;
    int64_t used_us; /* monotonic: when it was last of use */

    struct item items[ASKED_MOST]; /* asked for; their ids alone */
    size_t n;
    bool suspect;               /* the tables are to be asked for, and who has the releases' lock */
    bool tables_held;           /* ... and were held: said */
    struct locked_holder table; /* who holds a table, as just asked */
    struct standby_wait standby_wait;
    struct cut_off cut_off;
    char *watched; /* the id whose release is waited for; NULL: none */
};

static void clear(struct blockers *b)
{
    for (size_t i = 0; i < b->n; i++)
        item_clear(&b->items[i]);
    b->n = 0;
}

static void copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text);
}

/* pid, user, application and gid stand side by side from this column on. */
static struct locked_holder read_holder(const struct pg_result *r, int row, int column,
                                        const char *what)
{
    struct locked_holder h = {.known = !pg_result_null(r, row, column) ||
                                       !pg_result_null(r, row, column + 3)};
    h.pid = (int32_t)pg_result_int(r, row, column);
    copy(h.user, sizeof(h.user), pg_result_text(r, row, column + 1));
    copy(h.application, sizeof(h.application), pg_result_text(r, row, column + 2));
    copy(h.gid, sizeof(h.gid), pg_result_text(r, row, column + 3));
    copy(h.what, sizeof(h.what), what);
    return h;
}

static const struct locked_holder nobody;

/* ---- rows and counters ---- */

/* The row of the answer that says most about number n; -1: it has none. */
static int best_row(const struct locked *l, const struct pg_result *r, size_t n, const char *id)
{
    int best = -1;
    for (int row = 0; row < pg_result_rows(r); row++) {
        if (pg_result_int(r, row, 0) != (int64_t)n + 1)
            continue;
        if (best < 0)
            best = row;
        bool known = !pg_result_null(r, row, 3) || !pg_result_null(r, row, 6);
        if (known && locked_holds(l, id, pg_result_text(r, row, 2)))
            return row;
    }
    return best;
}

static void on_rows(void *arg, const struct pg_answer *answer)
{
    struct blockers *b = arg;
    struct locked *l = b->parts->locked;
    const struct pg_result *r =
        answer->status == PG_DONE && answer->nresults == 2 ? answer->results[1] : NULL;
    if (r != NULL && pg_result_columns(r) != 8)
        r = NULL;
    for (size_t i = 0; i < b->n; i++) {
        const char *id = b->items[i].id;
        int row = r != NULL ? best_row(l, r, i, id) : -1;
        struct locked_holder holder = b->table;
        if (!holder.known && row >= 0 && locked_holds(l, id, pg_result_text(r, row, 2)))
            holder = read_holder(r, row, 3, pg_result_text(r, row, 2));
        locked_answer(l, id, row >= 0 || r == NULL, row >= 0 ? pg_result_text(r, row, 1) : "",
                      &holder, clock_mono_us());
    }
    clear(b);
}

static void ask_rows(struct blockers *b)
{
    struct item *items[ASKED_MOST];
    const struct release_options options = {
        .statements = b->parts->statements,
        .clock = &b->parts->pg_clock,
        .lock_timeout_us = LOCK_US,
        .statement_timeout_us = STATEMENT_US,
    };
    for (size_t i = 0; i < b->n; i++)
        items[i] = &b->items[i];
    if (b->n == 0) /* only the tables were to be asked for */
        return;
    if (!statements_ready(b->parts->statements) ||
        release_ask(b->link, &options, STATEMENT_BLOCKERS, items, b->n, on_rows, b) != 0)
        clear(b);
}

/* ---- tables ---- */

/* One record when it begins, and one when it is over. r: with a holder; NULL: there is none. */
static void note_tables(struct blockers *b, const struct pg_result *r)
{
    if (r == NULL && b->tables_held)
        log_event(LOG_INFO, "No table is held locked any more", LOG_END);
    if (r != NULL && !b->tables_held) {
        struct locked_holder h = read_holder(r, 0, 0, "table");
        log_event(LOG_WARN, "A table is held locked by another transaction", LOG_STR, "table",
                  pg_result_text(r, 0, 4), LOG_INT, "blockerPid", (int64_t)h.pid, LOG_STR,
                  "blockerUser", h.user, LOG_STR, "blockerApplication", h.application, LOG_STR,
                  "blockerGid", log_told(h.gid), LOG_END);
    }
    b->tables_held = r != NULL;
}

static void on_tables(void *arg, const struct pg_answer *answer)
{
    struct blockers *b = arg;
    const struct pg_result *r = answer->status == PG_DONE ? answer->results[0] : NULL;
    bool held = r != NULL && pg_result_rows(r) > 0 && pg_result_columns(r) == 6;
    if (r != NULL) {
        note_tables(b, held ? r : NULL);
        standby_wait_note(&b->standby_wait, answer->results[1], clock_mono_us());
        cut_off_note(&b->cut_off, answer->results[2], clock_mono_us());
    }
    b->table = held ? read_holder(r, 0, 0, "table") : nobody;
    ask_rows(b); /* of what they are, in any case, if they can be read */
}

static void ask_tables(struct blockers *b)
{
    const struct queue *q = b->parts->config->queue;
    bool counters = q->stock.nkeys > 0;
    char *reservations = mapping_table(&q->table, b->link);
    char *inventory = counters ? mapping_table(&q->stock.table, b->link) : NULL;
    const char *params[] = {reservations, inventory};
    char cut_off_ms[INT_TEXT];
    const char *cut_off_params[] = {cut_off_ms};
    const struct pg_query queries[] = {
        {.sql = question_text(QUESTION_TABLE_LOCKS), .nparams = 2, .params = params},
        {.sql = question_text(QUESTION_STANDBY_WAIT)},
        {.sql = question_text(QUESTION_CUT_OFF), .nparams = 1, .params = cut_off_params},
    };
    (void)int_text(cut_off_ms, CUT_OFF_US / MS_US);
    if (reservations == NULL || (counters && inventory == NULL) ||
        pg_link_send(b->link, queries, 3, STATEMENT_US * 2, on_tables, b) != 0)
        clear(b);
    free(reservations);
    free(inventory);
}

/* When it is to be asked again though nothing new is known to be locked; INT64_MAX: never. */
static int64_t again_us(const struct blockers *b)
{
    if (b->suspect)
        return 0;
    if (standby_wait_since_us(&b->standby_wait) != 0 || cut_off_unknown(&b->cut_off))
        return b->used_us + AGAIN_US;
    return b->tables_held ? b->used_us + TABLES_US : INT64_MAX;
}

static void ask(struct blockers *b)
{
    const char *ids[ASKED_MOST];
    size_t n = locked_ask(b->parts->locked, ids, ASKED_MOST, clock_mono_us());
    for (; b->n < n; b->n++)
        if (item_init(&b->items[b->n], ids[b->n], strlen(ids[b->n])) != 0)
            break;
    if (b->n > 0 || again_us(b) < INT64_MAX)
        ask_tables(b);
    b->suspect = false;
}

/* ---- what a release waits for ---- */

static void on_watched(void *arg, const struct pg_answer *answer)
{
    struct blockers *b = arg;
    const struct pg_result *r = answer->status == PG_DONE ? answer->results[0] : NULL;
    if (r != NULL && pg_result_rows(r) > 0 && pg_result_columns(r) == 4) {
        struct locked_holder holder = read_holder(r, 0, 0, "inside");
        locked_seen(b->parts->locked, b->watched, &holder);
    }
    free(b->watched);
    b->watched = NULL;
}

void blockers_suspect(struct blockers *b)
{
    if (b != NULL)
        b->suspect = true;
}

int64_t blockers_standby_wait_us(const struct blockers *b)
{
    return b != NULL ? standby_wait_since_us(&b->standby_wait) : 0;
}

bool blockers_watch(struct blockers *b, const struct pg_link *waiter, const char *id)
{
    char pid[16];
    const char *params[] = {pid};
    const struct pg_query query = {
        .sql = question_text(QUESTION_WAITED_FOR), .nparams = 1, .params = params};
    if (b == NULL || b->link == NULL || !pg_link_up(b->link) || pg_link_busy(b->link) ||
        !locked_wants_watch(b->parts->locked, id, clock_mono_us()))
        return false;
    snprintf(pid, sizeof(pid), "%d", pg_link_backend_pid(waiter));
    b->watched = strdup(id);
    if (b->watched == NULL)
        return false;
    if (pg_link_send(b->link, &query, 1, STATEMENT_US * 2, on_watched, b) == 0)
        return true;
    free(b->watched);
    b->watched = NULL;
    return false;
}

/* ---- the connection ---- */

/* Nobody waits for it: without it the holders stay unknown, and that is said. */
static void open_link(struct blockers *b)
{
    const struct pg_link_options options = {
        .source = b->parts->postgres,
        .application_name = "reservation-sweeper locks",
        .backoff_min_us = BACKOFF_MIN_US,
        .backoff_max_us = BACKOFF_MAX_US,
    };
    b->link = pg_link_new(b->parts->loop, &options);
    if (b->link != NULL)
        pg_link_start(b->link);
}

static void on_tick(void *arg)
{
    struct blockers *b = arg;
    struct locked *l = b->parts->locked;
    int64_t now_us = clock_mono_us();
    if (locked_ask_at_us(l) <= now_us || again_us(b) <= now_us) {
        b->used_us = now_us;
        if (b->link == NULL)
            open_link(b);
        else if (pg_link_up(b->link) && !pg_link_busy(b->link))
            ask(b);
    } else if (b->link != NULL && now_us - b->used_us > IDLE_US) {
        pg_link_free(b->link);
        b->link = NULL;
    }
    locked_tick(l, now_us);
    timer_after_us(b->tick, TICK_US);
}

struct blockers *blockers_new(struct parts *parts)
{
    struct blockers *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    b->parts = parts;
    b->tick = timer_new(parts->loop, on_tick, b);
    if (b->tick == NULL) {
        free(b);
        return NULL;
    }
    timer_after_us(b->tick, TICK_US);
    return b;
}

void blockers_free(struct blockers *b)
{
    if (b == NULL)
        return;
    pg_link_free(b->link);
    clear(b);
    free(b->watched);
    timer_free(b->tick);
    free(b);
}
