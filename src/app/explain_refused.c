/* What Postgres refuses to release, by its record or by a rehearsal, and what it cannot release at
 * present (docs/design/desk.md). Texts of the servers are repeated as they are: who prints them
 * disarms them. */
#include "app/explain_judgements.h"

#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"

#include <inttypes.h>
#include <string.h>

static const struct explain_counter *drifted(const struct explain_facts *f)
{
    for (int i = 0; i < f->ncounters; i++)
        if (f->counters[i].fits == EXPLAIN_NO || f->counters[i].lacks)
            return &f->counters[i];
    return NULL;
}

static void why_drifted(const struct explain_counter *c, struct explanation *e)
{
    WHY(e, "the counter of product %s does not add up:", c->key);
    if (c->held[0] != '\0')
        WHY(e, " it holds %s%s", c->held, c->sum[0] != '\0' ? "," : "");
    if (c->sum[0] != '\0')
        WHY(e, " its active holds are %s", c->sum);
    if (c->free[0] != '\0')
        WHY(e, ", free are %s", c->free);
    if (c->total[0] != '\0')
        WHY(e, " of %s", c->total);
    WHY(e, ".");
}

static void todo_cause(const struct explain_facts *f, const char *sqlstate, struct explanation *e)
{
    if (drifted(f) != NULL) {
        ADVISE(e, "--reconcile --repair-stock");
        explain_todo_queue(e, f);
        ADVISE(e, " sets the counter right");
    } else if (strcmp(sqlstate, "42501") == 0) {
        ADVISE(e, "Give the role the right that it lacks (--check-config names it)");
    } else if (strcmp(sqlstate, "25006") == 0) {
        ADVISE(e, "See that the address leads to the primary, and that it may be written to");
    } else if (f->triggers[0] != '\0') {
        ADVISE(e, "Remove what the error names; what runs there of the shop's own: %s",
               f->triggers);
    } else {
        ADVISE(e, "Remove what the error names");
    }
}

static void todo_refused(const struct explain_facts *f, const char *sqlstate, struct explanation *e)
{
    todo_cause(f, sqlstate, e);
    ADVISE(e, "; then --retry tries it at once.");
}

static void why_refused(const struct explain_facts *f, struct explanation *e)
{
    const struct failed_record *r = &f->failure;
    if (r->attempts == 0)
        WHY(e, "Postgres refuses others of its product, so that it is not tried itself: %s",
            r->error);
    else
        WHY(e, "Postgres refuses it: %s", r->error);
    if (r->sqlstate[0] != '\0')
        WHY(e, " (SQLSTATE %s)", r->sqlstate);
    if (r->attempts > 0 && r->last_ms > 0) {
        if (r->attempts == 1)
            WHY(e, "; once, at ");
        else
            WHY(e, "; %" PRIu32 " times, last at ", r->attempts);
        explain_why_time(e, f, r->last_ms * MS_US);
    }
    WHY(e, ".");
}

static void next_attempt(const struct explain_facts *f, struct explanation *e)
{
    int64_t now_ms = f->now_us / MS_US;
    if (f->lease_ms > now_ms) {
        NEXT(e, "A sweeper tries it again just now; if that one is gone, another does when the "
                "lease has ended, at ");
        explain_next_time(e, f, f->lease_ms * MS_US);
    } else if (f->entry_ms > now_ms) {
        NEXT(e, "It is tried again at ");
        explain_next_time(e, f, f->entry_ms * MS_US);
    } else {
        NEXT(e, "It is tried again with the next claim");
    }
    explain_next_end(e, f);
}

bool explain_judge_refused(const struct explain_facts *f, struct explanation *e)
{
    const struct explain_counter *counter = drifted(f);
    bool through = f->rehearsal.outcome == REHEARSED_RELEASED;
    if (!f->failed)
        return false;
    e->cause = CAUSE_REFUSED;
    why_refused(f, e);
    if (through) {
        WHY(e, " A rehearsal of its release went through just now.");
        ADVISE(e, "--retry tries it at once.");
    } else {
        if (counter != NULL) {
            WHY(e, " Its cause is likely that ");
            why_drifted(counter, e);
        }
        todo_refused(f, f->failure.sqlstate, e);
    }
    next_attempt(f, e);
    return true;
}

bool explain_judge_would_be_refused(const struct explain_facts *f, struct explanation *e)
{
    const struct explain_counter *counter = drifted(f);
    bool by_rehearsal = f->rehearsal.outcome == REHEARSED_REFUSED;
    bool lacks = f->rehearsal.outcome == REHEARSED_NOT && counter != NULL && counter->lacks;
    if (!by_rehearsal && !lacks)
        return false;
    e->cause = counter != NULL ? CAUSE_COUNTER : CAUSE_REFUSED;
    if (by_rehearsal)
        WHY(e,
            "It is due, and Postgres refuses it, as a rehearsal of its release showed just now: %s "
            "(SQLSTATE %s).",
            f->rehearsal.error, f->rehearsal.sqlstate);
    else
        WHY(e, "It is due, and Postgres will refuse it.");
    if (counter != NULL) {
        WHY(e, " Its cause is likely that ");
        why_drifted(counter, e);
    }
    todo_refused(f, f->rehearsal.sqlstate, e);
    NEXT(e, "It is refused when it is tried next, and then tried again after 1 s, 2 s, 4 s and so "
            "on, 5 min at most");
    explain_next_end(e, f);
    return true;
}

bool explain_judge_fails(const struct explain_facts *f, struct explanation *e)
{
    if (f->rehearsal.outcome != REHEARSED_FAILED)
        return false;
    e->cause = CAUSE_FAILS;
    WHY(e,
        "It is due, and Postgres cannot release it at present, as a rehearsal of its release "
        "showed just now: %s (SQLSTATE %s).",
        f->rehearsal.error, f->rehearsal.sqlstate);
    todo_cause(f, f->rehearsal.sqlstate, e);
    ADVISE(e, ".");
    NEXT(e, "It is tried again until that is over.");
    return true;
}
