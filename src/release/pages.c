/* Reads active reservations by expiry, page by page. */
#include "release/pages.h"

#include "base/clock.h"
#include "base/time_units.h"
#include "config/config.h"
#include "link/pg_link.h"
#include "release/blockers.h"
#include "release/parts.h"
#include "store/ask.h"
#include "store/statements.h"
#include "store/table_blocker.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_US (30 * SECOND_US) /* a first page may have to sort a large backlog */
#define SLOW_US (100 * MS_US)        /* a page in the order of an index takes a tenth */

struct pages {
    struct parts *parts;
    struct pg_link *link;
    int64_t from_us, ahead_us;
    int size, size_max;
    bool want_places;
    int64_t after_us; /* the end of the last page; -1: none yet */
    char *after_id;
    const struct pg_result *rows; /* the page at hand, inside done */
    const struct pg_result *late; /* ... and the late rows, NULL when there are none */
    int want_late;                /* at most so many; 0: none */
    int64_t took_us;
    void (*done)(void *arg, const struct page *page);
    void *arg;
};

struct pages *pages_new(struct parts *parts, struct pg_link *link)
{
    struct pages *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->parts = parts;
    p->link = link;
    return p;
}

void pages_free(struct pages *p)
{
    if (p == NULL)
        return;
    free(p->after_id);
    free(p);
}

void pages_begin(struct pages *p, int64_t from_us, int64_t ahead_us, int size, int size_max)
{
    p->from_us = from_us;
    p->ahead_us = ahead_us;
    p->size = size;
    p->size_max = size_max;
    p->want_places = false;
    p->after_us = -1;
    free(p->after_id);
    p->after_id = NULL;
}

/* "(12,34)"; 0: it is none. */
static uint64_t place_read(const char *text)
{
    uint64_t block = 0, row = 0;
    const char *at = text;
    if (*at++ != '(')
        return 0;
    for (; *at >= '0' && *at <= '9'; at++)
        block = block * 10 + (uint64_t)(*at - '0');
    if (*at++ != ',')
        return 0;
    for (; *at >= '0' && *at <= '9'; at++)
        row = row * 10 + (uint64_t)(*at - '0');
    return *at == ')' ? block << PAGES_PLACE_BITS | (row & 0xffff) : 0;
}

const char *pages_id(const struct pages *p, size_t i)
{
    assert(p->rows != NULL);
    return pg_result_text(p->rows, (int)i, 0);
}

int64_t pages_expires_us(const struct pages *p, size_t i)
{
    assert(p->rows != NULL);
    return pg_result_int(p->rows, (int)i, 1);
}

uint64_t pages_place(const struct pages *p, size_t i)
{
    assert(p->rows != NULL);
    return place_read(pg_result_text(p->rows, (int)i, 3));
}

void pages_want_places(struct pages *p)
{
    p->want_places = true;
}

void pages_want_late(struct pages *p, int most)
{
    p->want_late = most;
}

int64_t pages_took_us(const struct pages *p)
{
    return p->took_us;
}

bool pages_has_late(const struct pages *p)
{
    return p->late != NULL;
}

size_t pages_late_count(const struct pages *p)
{
    return p->late != NULL ? (size_t)pg_result_rows(p->late) : 0;
}

const char *pages_late_id(const struct pages *p, size_t i)
{
    assert(p->late != NULL);
    return pg_result_text(p->late, (int)i, 0);
}

int64_t pages_late_expires_us(const struct pages *p, size_t i)
{
    assert(p->late != NULL);
    return pg_result_int(p->late, (int)i, 1);
}

const char *pages_late_product(const struct pages *p, size_t i)
{
    assert(p->late != NULL);
    return pg_result_text(p->late, (int)i, 2);
}

/* Notes where the next page begins. -1: out of memory. */
static int remember_end(struct pages *p, size_t n)
{
    char *id = strdup(pages_id(p, n - 1));
    if (id == NULL)
        return -1;
    free(p->after_id);
    p->after_id = id;
    p->after_us = pages_expires_us(p, n - 1);
    return 0;
}

static int send(struct pages *p);

/* The tables are others by now: from the beginning of the pass, since ids may be in another order.
 * False when nothing could be sent. */
static bool begin_again(struct pages *p)
{
    p->after_us = -1;
    free(p->after_id);
    p->after_id = NULL;
    return send(p) == 0;
}

static void on_blocker(void *arg, const char *sentence, bool locked)
{
    struct pages *p = arg;
    const struct page page = {.error = sentence, .last = true};
    (void)locked;
    p->want_late = 0;
    p->done(p->arg, &page);
}

/* True: it is asked who holds a table locked, and `done` waits for that. */
static bool asks_for_blocker(struct pages *p, const struct pg_answer *answer)
{
    if (answer->status != PG_REFUSED || !table_blocker_suspect(answer->sqlstate))
        return false;
    blockers_suspect(p->parts->blockers);
    return table_blocker_find(p->parts->config->queue, p->link, answer, on_blocker, p) == 0;
}

static void on_answer(void *arg, const struct pg_answer *answer)
{
    struct pages *p = arg;
    struct page page = {.last = true};
    const struct pg_result *rows = answer->nresults >= 2 ? answer->results[1] : NULL;
    const struct pg_result *late = answer->nresults == 3 ? answer->results[2] : NULL;
    if (ask_is_stale(answer) && begin_again(p))
        return;
    p->took_us = answer->received_us - answer->sent_us;
    if (asks_for_blocker(p, answer))
        return;
    if (answer->status != PG_DONE) {
        page.error = answer->message;
    } else if (rows == NULL || pg_result_columns(rows) != 4 || pg_result_rows(rows) < 1 ||
               (late != NULL && pg_result_rows(late) > 0 && pg_result_columns(late) != 3)) {
        page.error = "a page of reservations gave an unexpected answer";
    } else {
        server_clock_sample(&p->parts->pg_clock, pg_result_int(rows, 0, 2), answer->sent_us,
                            answer->received_us);
        p->rows = rows;
        p->late = late;
        page.n = pg_result_null(rows, 0, 0) ? 0 : (size_t)pg_result_rows(rows);
        page.last = page.n < (size_t)p->size;
        if (page.n > 0 && remember_end(p, page.n) != 0)
            page = (struct page){.error = "out of memory", .last = true};
    }
    p->want_late = 0;
    p->done(p->arg, &page);
    p->rows = p->late = NULL;
}

static int send(struct pages *p)
{
    /* What is late is wanted soon: a table that somebody holds locked is said, not waited for. */
    static const char settings[] =
        PG_SETTINGS_2(PG_SET("statement_timeout", "'20s'"), PG_SET("lock_timeout", "$1"));
    const char *lock_timeout[] = {p->want_late > 0 ? "5s" : "0"};
    char from[32], ahead[32], after[32], size[16], most[16];
    const char *late[] = {"1000000", most};
    /* What lies before the last page's end has been read, so the index need not be asked for it
     * again; rows before 1970 are all reported as 1970 and have to be. */
    int64_t from_us = p->after_us > 0 ? p->after_us : p->from_us;
    snprintf(from, sizeof(from), "%lld", (long long)from_us);
    snprintf(ahead, sizeof(ahead), "%lld", (long long)p->ahead_us);
    snprintf(after, sizeof(after), "%lld", (long long)p->after_us);
    snprintf(size, sizeof(size), "%d", p->size);
    snprintf(most, sizeof(most), "%d", p->want_late);
    const char *params[] = {from_us == PAGES_FROM_START ? NULL : from,
                            ahead,
                            after,
                            p->after_id,
                            size,
                            p->want_places ? "t" : "f"};
    enum statement which = p->after_us > 0 ? STATEMENT_DUE_ROWS_NEXT : STATEMENT_DUE_ROWS;
    const struct ask_query queries[] = {
        {.sql = settings, .nparams = 1, .params = lock_timeout, .often = true},
        {.statement = which, .nparams = 6, .params = params, .often = true},
        {.statement = STATEMENT_LATE_ROWS, .nparams = 2, .params = late},
    };
    const struct ask_options options = {.statements = p->parts->statements,
                                        .clock = &p->parts->pg_clock,
                                        .link = p->link,
                                        .deadline_us = DEADLINE_US,
                                        .reads = true};
    return ask_send(&options, queries, p->want_late > 0 ? 3 : 2, on_answer, p);
}

int pages_next(struct pages *p, void (*done)(void *arg, const struct page *page), void *arg)
{
    if (p->after_us >= 0 && (p->took_us > SLOW_US || p->want_places))
        p->size = p->size < p->size_max / 2 ? 2 * p->size : p->size_max;
    p->done = done;
    p->arg = arg;
    return send(p);
}
