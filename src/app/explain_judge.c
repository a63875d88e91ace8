/* Why a reservation is not released (yet), what to do, and what happens next (docs/design/desk.md).
 *
 * A list of judgements, from what stands in the way most to what does least: the first that holds
 * is the cause. What must hold: whatever the servers said, the last one holds, and why and next are
 * never empty. Texts of the servers are repeated as they are: who prints them disarms them. */
#include "app/explain_judgements.h"

#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct queue *queue_of(const struct explain_facts *f)
{
    return f->config->queue;
}

/* What becomes of what Redis has of a reservation that is none. */
static void next_stale(struct explanation *e, const struct explain_facts *f, const char *else_)
{
    if (f->entry_ms == 0) {
        NEXT(e, "%s", else_);
        return;
    }
    NEXT(e, "Nothing becomes of it; its entry in Redis is removed at ");
    explain_next_time(e, f, f->entry_ms * MS_US);
    explain_next_end(e, f);
}

/* ---- there is nothing to release ---- */

static bool malformed(const struct explain_facts *f, struct explanation *e)
{
    if (!f->malformed)
        return false;
    e->cause = CAUSE_MALFORMED;
    WHY(e, "It cannot be the id of a reservation of queue %s: those are %s.", queue_of(f)->name,
        f->id_kind);
    ADVISE(e, "Give the id as it stands in column %s of table %s.", queue_of(f)->id.text,
           queue_of(f)->table.written);
    next_stale(e, f, "Nothing: there is no such reservation.");
    return true;
}

static bool other_queue(const struct explain_facts *f, struct explanation *e)
{
    if (f->elsewhere == NULL || f->rows > 0)
        return false;
    e->cause = CAUSE_OTHER_QUEUE;
    WHY(e, "It is no reservation of queue %s; it is one of queue %s.", queue_of(f)->name,
        f->elsewhere);
    ADVISE(e, "Ask there: --explain with --queue %s.", f->elsewhere);
    next_stale(e, f, "In this queue nothing becomes of it.");
    return true;
}

/* Why the tables were not read. */
struct unasked {
    enum explain_cause cause;
    const char *why, *todo;
};

static const struct unasked *unasked(const struct explain_facts *f)
{
    static const struct unasked away = {
        CAUSE_POSTGRES, "Postgres, which decides, could not be asked (%s).",
        "See to Postgres; --check-config says what of it cannot be reached."};
    static const struct unasked unusable = {CAUSE_TABLES,
                                            "The tables cannot be used as they are (%s).",
                                            "--check-config says all that is wrong with them."};
    static const struct unasked forbidden = {
        CAUSE_TABLES, "The sweeper's role lacks a right to a table (%s).",
        "Grant it; --show-sql prints the grants that are needed."};
    static const struct unasked locked = {
        CAUSE_TABLE_LOCKED, "A whole table is locked, and by whom is not known (%s).",
        "See pg_locks for who holds it, and let that transaction end."};
    if (f->locked)
        return &locked;
    if (strcmp(f->sqlstate, "42501") == 0)
        return &forbidden;
    return f->unusable ? &unusable : &away;
}

static bool postgres(const struct explain_facts *f, struct explanation *e)
{
    if (f->looked)
        return false;
    const struct unasked *u = unasked(f);
    e->cause = u->cause;
    WHY(e, u->why, f->postgres_error[0] != '\0' ? f->postgres_error : "no answer within 5 s");
    ADVISE(e, "%s", u->todo);
    /* Whether a sweeper runs, nobody knows: none feeds without Postgres. */
    NEXT(e, "Nothing of this queue is released until that is over, and what is due by then within "
            "seconds of it.");
    return true;
}

static bool unknown(const struct explain_facts *f, struct explanation *e)
{
    if (f->rows > 0)
        return false;
    e->cause = CAUSE_UNKNOWN;
    WHY(e, "There is no row with this id in table %s%s.", queue_of(f)->table.written,
        f->rows_hidden ? " that this role can see; row security is in force for it" : "");
    next_stale(e, f, "Nothing: there is no such reservation.");
    return true;
}

static bool inactive(const struct explain_facts *f, struct explanation *e)
{
    int64_t changed_us = 0;
    if (f->active_rows > 0)
        return false;
    e->cause = CAUSE_INACTIVE;
    WHY(e, "It was bought, cancelled or released before: ");
    WHY(e, f->rows == 1 ? "its row is" : "none of its %" PRId64 " rows is", f->rows);
    WHY(e, "%s active (%s)", f->rows == 1 ? " not" : "", queue_of(f)->active.text);
    if (f->nholds > 0 && f->holds[0].values[0] != '\0')
        WHY(e, "; %s has %s", f->rows == 1 ? "it" : "the first", f->holds[0].values);
    for (int i = 0; i < f->nholds; i++)
        changed_us = f->holds[i].changed_us > changed_us ? f->holds[i].changed_us : changed_us;
    if (changed_us > 0) {
        WHY(e, "; last changed at ");
        explain_why_time(e, f, changed_us);
    }
    WHY(e, ".");
    next_stale(e, f, "Nothing: there is nothing left to release.");
    return true;
}

/* ---- it is not due ---- */

static bool endless(const struct explain_facts *f, struct explanation *e)
{
    const struct explain_hold *h = f->holds;
    if (f->due_us != EXPLAIN_NEVER)
        return false;
    while (h < f->holds + f->nholds && !(h->active && !h->ends))
        h++;
    bool odd = h < f->holds + f->nholds && h->expires[0] != '\0';
    e->cause = CAUSE_ENDLESS;
    WHY(e, "An active row of it never expires: its %s is %s.", queue_of(f)->expires_at.text,
        odd ? h->expires : "NULL");
    ADVISE(e, odd ? "Correct that: what lies before 2001 or after 9999 is never due."
                  : "Give it an expiry, if it should have one.");
    NEXT(e, "It is never released, unless that row gets an expiry or is no longer active.");
    return true;
}

static void next_due(const struct explain_facts *f, struct explanation *e)
{
    int64_t until_us = f->pause.until_ms * MS_US;
    bool paused = until_us > f->due_us;
    if (f->first_run[0] != '\0') {
        NEXT(e, "It is due at ");
        explain_next_time(e, f, f->due_us);
        NEXT(e, ", and this queue is held at present: %s.", f->first_run);
        return;
    }
    NEXT(e, paused ? "It is released when the pause has ended, at "
                   : "It is released when it is due, at ");
    explain_next_time(e, f, paused ? until_us : f->due_us);
    explain_next_end(e, f);
}

/* By the sweeper, as its record says. */
static bool extended_as_kept(const struct explain_facts *f)
{
    return f->kept_record && queue_of(f)->keep.extend_us > 0;
}

static bool keep_while_holds(const struct explain_facts *f)
{
    bool holds = false;
    for (int i = 0; i < f->nholds; i++)
        holds = holds || (f->holds[i].active && f->holds[i].keep == EXPLAIN_YES);
    return holds;
}

static bool not_due(const struct explain_facts *f, struct explanation *e)
{
    if (f->due_us <= f->now_us)
        return false;
    if (extended_as_kept(f) && keep_while_holds(f)) {
        explain_why_kept(f, e);
        NEXT(e, "The sweeper has extended it, and looks again when it is due, at ");
        explain_next_time(e, f, f->due_us);
        explain_next_end(e, f);
        return true;
    }
    bool earlier = f->entry_ms > 0 && f->entry_ms < f->due_us / MS_US;
    e->cause = earlier ? CAUSE_EXTENDED : CAUSE_NOT_DUE;
    WHY(e, "It is active, and not due before ");
    explain_why_time(e, f, f->due_us);
    if (earlier) {
        WHY(e, "; it was extended: Redis still has ");
        explain_why_time(e, f, f->entry_ms * MS_US);
        WHY(e, ", a time at which the sweeper looks and puts it back");
    }
    WHY(e, ".");
    if (extended_as_kept(f))
        explain_todo_extended(f, e);
    next_due(f, e);
    return true;
}

void explain_judge(const struct explain_facts *f, struct explanation *e)
{
    static explain_judgement *const judgements[] = {
        malformed, explain_judge_table, postgres, other_queue, unknown, inactive, endless,
        not_due,   explain_judge_due};
    *e = (struct explanation){.cause = CAUSE_UNKNOWN};
    for (size_t i = 0; i < sizeof(judgements) / sizeof(judgements[0]); i++)
        if (judgements[i](f, e))
            return;
}

const char *explain_cause_name(enum explain_cause cause)
{
    static const char *const names[CAUSES_N] = {
        [CAUSE_MALFORMED] = "malformed",
        [CAUSE_POSTGRES] = "postgresAway",
        [CAUSE_TABLES] = "tablesUnusable",
        [CAUSE_TABLE_LOCKED] = "tableLocked",
        [CAUSE_OTHER_QUEUE] = "otherQueue",
        [CAUSE_UNKNOWN] = "unknown",
        [CAUSE_INACTIVE] = "inactive",
        [CAUSE_ENDLESS] = "neverExpires",
        [CAUSE_KEPT] = "kept",
        [CAUSE_ATTENTION] = "keptAttention",
        [CAUSE_EXTENDED] = "extended",
        [CAUSE_NOT_DUE] = "notDue",
        [CAUSE_PAUSED] = "paused",
        [CAUSE_FIRST_RUN] = "firstRunLimit",
        [CAUSE_STANDBY] = "standbyAwaited",
        [CAUSE_LOCKED] = "locked",
        [CAUSE_REFUSED] = "refused",
        [CAUSE_COUNTER] = "counterDrifted",
        [CAUSE_FAILS] = "cannotRelease",
        [CAUSE_CLAIMED] = "claimed",
        [CAUSE_NO_SWEEPER] = "noSweeper",
        [CAUSE_DIRECT] = "redisAway",
        [CAUSE_WAITING] = "waiting",
        [CAUSE_LOST] = "notFoundYet",
    };
    return names[cause];
}
