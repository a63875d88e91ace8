/* Puts rows of Postgres into Redis: copies them, since rows end with their callback, and Redis's
 * scripts are sent one after the other. An entry's time is rounded up to the millisecond: rounded
 * down, it would be looked at before its reservation is due. */
#include "feed/mirror.h"

#include "base/log.h"
#include "base/parse.h"
#include "base/time_units.h"
#include "queue/due_queue.h"
#include "release/pages.h"
#include "release/parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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

const char *mirror_rows(struct mirror *m, const struct mirror_row *rows, size_t n)
{
    assert(m->n == 0 && n > 0);
    const char *error = NULL;
    if (copy(m, rows, n) != 0)
        error = "out of memory";
    else if (due_queue_schedule(m->parts->queue, m->entries, m->n, on_scheduled, m) != 0)
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
