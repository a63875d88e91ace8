/* Puts rows of Postgres into Redis: copies them, since rows end with their callback, and what is
 * sent to Redis goes a part at a time. An entry's time is rounded up to the millisecond: rounded
 * down, it would be looked at before its reservation is due.
 *
 * Rows that are due may be claimed, or refused and waiting for their next try, so schedule.lua
 * looks first. Those that will be due later are entered by a plain ZADD LT, which is right whatever
 * Redis has of them:
 * - Nothing, or an entry at a later time: the row's own time is the one to look at it.
 * - An entry at an earlier time: that stays (LT). Whoever looks then puts it back.
 * - A record of a refusal: it was due when it was refused, and has been extended since. A retry
 *   before the new expiry stays, and finds out. One behind it gives way: what was extended is
 * healed (settlement.c), so its first try is when it is due. Then it is a row that is due, and
 * schedule.lua leaves it in peace: one extension is worth one try.
 * - A claim: made before the extension too. It finds out, and puts back at the same time.
 * What becomes due between Postgres's answer and Redis's would be entered behind a claim's back:
 * looked at twice, the second time in vain. So what is due within SOON_MS counts as due. */
#include "feed/mirror.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/time_units.h"
#include "queue/due_queue.h"
#include "release/pages.h"
#include "release/parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SOON_MS SECOND_MS /* more than Redis's answers take, less than matters */

struct mirror {
    struct parts *parts;
    struct due_entry *entries;
    char *texts; /* their ids, one after the other */
    size_t n;
    bool warned; /* of an id that is too long, once */
    void (*on_done)(void *arg, int64_t earliest_ms, const char *error);
    void *arg;
};

struct mirror *mirror_new(struct parts *parts,
                          void (*on_done)(void *arg, int64_t earliest_ms, const char *error),
                          void *arg)
{
    struct mirror *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return NULL;
    m->parts = parts;
    m->on_done = on_done;
    m->arg = arg;
    return m;
}

static void clear(struct mirror *m)
{
    free(m->entries);
    free(m->texts);
    m->entries = NULL;
    m->texts = NULL;
    m->n = 0;
}

void mirror_free(struct mirror *m)
{
    if (m == NULL)
        return;
    clear(m);
    free(m);
}

/* Redis entries of more than 255 bytes are no ids, so it is left to the passes that read Postgres
 * alone. */
static bool too_long(struct mirror *m, const char *id, size_t len)
{
    if (len <= ID_MAX_LEN)
        return false;
    if (!m->warned)
        log_event(LOG_WARN,
                  "A reservation's id is longer than 255 bytes: it is not mirrored, and released "
                  "from Postgres alone, as by --once",
                  LOG_STR, "reservationId", id, LOG_END);
    m->warned = true;
    return true;
}

static int copy(struct mirror *m, const struct mirror_row *rows, size_t n)
{
    size_t size = 1;
    for (size_t i = 0; i < n; i++)
        size += strlen(rows[i].id) + 1;
    m->entries = calloc(n, sizeof(*m->entries));
    m->texts = malloc(size);
    if (m->entries == NULL || m->texts == NULL)
        return -1;
    char *at = m->texts;
    for (size_t i = 0; i < n; i++) {
        const char *id = rows[i].id;
        size_t len = strlen(id);
        if (too_long(m, id, len))
            continue;
        memcpy(at, id, len + 1);
        m->entries[m->n++] = (struct due_entry){
            .id = at,
            .id_len = len,
            .at_ms = ms_rounded_up(rows[i].expires_us),
        };
        at += len + 1;
    }
    return 0;
}

static void on_scheduled(void *arg, size_t added, const char *error)
{
    struct mirror *m = arg;
    int64_t earliest_ms = INT64_MAX;
    for (size_t i = 0; i < m->n && added > 0; i++)
        if (m->entries[i].at_ms < earliest_ms)
            earliest_ms = m->entries[i].at_ms;
    clear(m);
    m->on_done(m->arg, earliest_ms, error);
}

/* By Postgres's clock, of which there is none before its first answer: then nothing is known to be
 * due later. */
static int64_t due_soon_ms(const struct mirror *m)
{
    const struct server_clock *clock = &m->parts->pg_clock;
    return clock->known ? server_clock_now_us(clock) / MS_US + SOON_MS : INT64_MAX;
}

const char *mirror_rows(struct mirror *m, const struct mirror_row *rows, size_t n)
{
    assert(m->n == 0 && n > 0);
    const char *error = NULL;
    if (copy(m, rows, n) != 0)
        error = "out of memory";
    else if (due_queue_schedule(m->parts->queue, m->entries, m->n, due_soon_ms(m), on_scheduled,
                                m) != 0)
        error = "Redis went away";
    if (error != NULL)
        clear(m);
    return error;
}

const char *mirror_page(struct mirror *m, const struct pages *pages, size_t n)
{
    struct mirror_row *rows = calloc(n, sizeof(*rows));
    if (rows == NULL)
        return "out of memory";
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct mirror_row){pages_id(pages, i), pages_expires_us(pages, i)};
    const char *error = mirror_rows(m, rows, n);
    free(rows);
    return error;
}

bool mirror_busy(const struct mirror *m)
{
    return m->entries != NULL;
}
