/* Which statements have names, and when none has.
 *
 * What must hold:
 * - A name says which text it stands for (its hash), so that a statement of this name that another
 *   client of a pooler has left has the same text.
 * - A list that is forgotten is never believed again: in a session of the link's own DEALLOCATE ALL
 * comes before the next name (`dirty`); through a pooler that keeps names for its clients, where
 * that would take the statements of others, the names are new ones (`round`).
 * - A refusal that names may have caused is never handed on before the same was tried without them.
 *   What causes them: see `refusals`.
 * - A text may mean another table from one moment to the next, when one of the same name is put
 *   before it in the search_path, and a statement of a session does not notice: so the list is
 *   forgotten whenever the catalog says something else (`version`).
 * - A plan that is kept may become a bad one, when the tables grow or their statistics change: so
 *   the list is begun anew after ten minutes, and when requests take five times their usual, though
 *   no oftener than once a minute. Through a pooler it is the pooler that ends its sessions. */
#include "link/pg_prepare.h"

#include "base/hash.h"
#include "base/time_units.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define ANEW_US (10 * MINUTE_US)
#define PAUSE_US MINUTE_US
#define PAUSE_MAX_US (60 * MINUTE_US)
#define SLOW_TIMES 5
#define SLOW_US (5 * MS_US) /* below that nothing is slow */
#define SLOW_GAP_US MINUTE_US

/* By prefix. Without a pause: the tables have changed, and the parameters' types with them, which a
 * named statement keeps; with new names it is as good as before. */
static const struct {
    const char *sqlstate;
    bool may_be_names;
    bool pauses;
} refusals[] = {
    {"26000", true, true},   /* there is no such statement: another session, or DISCARD ALL */
    {"42P05", true, true},   /* there is one already */
    {"0A000", true, true},   /* "cached plan must not change result type" */
    {"08P01", true, true},   /* one of this name has other parameters; a pooler takes none */
    {"42501", false, false}, /* a right is missing, or a policy refuses a row */
    {"42", true, false},     /* an operator, a column or a table that is not there any more */
    {"3F", true, false},     /* a schema */
    {"XX", true, false},     /* a type that is gone: "cache lookup failed" */
};

static void forget(struct pg_names *names)
{
    names->dirty = names->dirty || names->n > 0;
    names->n = 0;
    names->round++;
}

void pg_names_connected(struct pg_names *names)
{
    forget(names);
    names->dirty = false;
    names->session = PG_SESSION_UNASKED;
    names->commit[0] = '\0';
}

bool pg_names_asks(const struct pg_names *names)
{
    return names->session == PG_SESSION_UNASKED;
}

void pg_names_told(struct pg_names *names, int64_t connected_pid, int64_t server_pid,
                   const char *commit)
{
    names->session = connected_pid == server_pid ? PG_SESSION_OURS : PG_SESSION_POOLED;
    (void)snprintf(names->commit, sizeof(names->commit), "%s", commit);
}

bool pg_names_usable(struct pg_names *names, uint64_t version, int64_t now_us)
{
    bool ours = names->session == PG_SESSION_OURS;
    if (names->mode == PG_PREPARE_OFF || (names->mode == PG_PREPARE_AUTO && !ours))
        return false;
    if (now_us < names->resumes_us)
        return false;
    if (version != names->version)
        forget(names);
    names->version = version;
    bool aged = names->n > 0 && now_us - names->since_us >= ANEW_US;
    if (ours && (aged || names->n == PG_NAMES_MAX))
        forget(names);
    return true;
}

bool pg_names_empties(const struct pg_names *names)
{
    return names->dirty && names->session == PG_SESSION_OURS;
}

void pg_names_emptied(struct pg_names *names)
{
    names->dirty = false;
}

int pg_names_place(struct pg_names *names, const char *sql, int64_t now_us)
{
    for (int i = 0; i < names->n; i++)
        if (names->list[i].sql == sql)
            return i;
    uint64_t hash = hash_text(sql);
    for (int i = 0; i < names->n; i++)
        if (names->list[i].hash == hash)
            return i;
    if (names->n == PG_NAMES_MAX)
        return -1;
    if (names->n == 0)
        names->since_us = now_us;
    names->list[names->n] = (struct pg_named){.sql = sql, .hash = hash};
    return names->n++;
}

void pg_names_write(const struct pg_names *names, int place, char out[PG_NAME_SIZE])
{
    assert(place >= 0 && place < names->n);
    (void)snprintf(out, PG_NAME_SIZE, "sweeper_%016llx_%u",
                   (unsigned long long)names->list[place].hash, names->round);
}

void pg_names_settle(struct pg_names *names)
{
    for (int i = 0; i < names->n; i++)
        names->list[i].queued = names->list[i].ready;
}

static int64_t smooth(int64_t mean_us, int64_t took_us, int weight)
{
    return mean_us == 0 ? took_us : mean_us + (took_us - mean_us) / weight;
}

void pg_names_took(struct pg_names *names, int place, int64_t took_us, int64_t now_us)
{
    assert(place >= 0 && place < names->n);
    struct pg_named *named = &names->list[place];
    named->lately_us = smooth(named->lately_us, took_us, 8);
    named->usual_us = smooth(named->usual_us, took_us, 256);
    if (names->session != PG_SESSION_OURS || named->lately_us < SLOW_US ||
        named->lately_us < SLOW_TIMES * named->usual_us)
        return;
    if (names->anew_us != 0 && now_us - names->anew_us < SLOW_GAP_US)
        return;
    names->anew_us = now_us;
    forget(names);
}

/* A refusal soon after the last pause makes the next one twice as long. */
static void pause_names(struct pg_names *names, int64_t now_us)
{
    bool soon = names->resumes_us != 0 && now_us - names->resumes_us < ANEW_US;
    names->pause_us = soon ? 2 * names->pause_us : PAUSE_US;
    if (names->pause_us > PAUSE_MAX_US)
        names->pause_us = PAUSE_MAX_US;
    names->resumes_us = now_us + names->pause_us;
}

bool pg_names_refused(struct pg_names *names, const char *sqlstate, bool inside, int64_t now_us)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]) && !inside; i++) {
        if (strncmp(sqlstate, refusals[i].sqlstate, strlen(refusals[i].sqlstate)) != 0)
            continue;
        if (!refusals[i].may_be_names)
            return false;
        forget(names);
        if (refusals[i].pauses)
            pause_names(names, now_us);
        return true;
    }
    return false;
}
