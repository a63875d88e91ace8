/* --check-config: what a refusal means. */
#include "app/check_refusal.h"

#include "app/check_ask.h"
#include "config/queue.h"
#include "link/pg_link.h"
#include "store/statements.h"

#include <string.h>

#define REPLICA_IDENTITY                                                                           \
    "a published table needs ALTER TABLE ... REPLICA IDENTITY, to its primary key, a unique "      \
    "index, "                                                                                      \
    "or FULL; a view must be one that can be updated"

/* PostgreSQL manual, appendix A. */
const char *check_remedy(const char *sqlstate)
{
    static const struct {
        const char *sqlstate, *text;
    } remedies[] = {
        {"0A000", "a rule of the table keeps it from being updated so: drop the rule"},
        {"22001", "the column is too short for this value: widen it"},
        {"22P02",
         "the column's type does not know this value: write it as the type has it, or ALTER TYPE "
         "... ADD VALUE, where it is an enum"},
        {"23514", "the value must be allowed: change the constraint"},
        {"42P10", REPLICA_IDENTITY},
        {"42P17", "a policy of the table asks for the table itself: change it"},
        {"42501",
         "GRANT SELECT, UPDATE (where holds are deleted DELETE too) on the queue's "
         "tables, USAGE on their schema, and what `also`, `call`, `keep_while` and policies "
         "ask for; where the tables can be seen --show-sql prints the grants"},
        {"42703", "the sweeper reads and writes this column: is it another table?"},
        {"42704",
         "a policy or a trigger needs this setting: ALTER ROLE ... SET it for the sweeper"},
        {"42804", "the column's type cannot take what the sweeper writes: change the type"},
        {"42883", "columns that belong together have different types (the two keys, or a "
                  "quantity and its counter): give both the same"},
        {"428C9", "a generated column cannot be written: make it an ordinary one"},
        {"55000", REPLICA_IDENTITY},
    };
    for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++)
        if (strcmp(remedies[i].sqlstate, sqlstate) == 0)
            return remedies[i].text;
    return "the server's log has the details";
}

/* Whether this SQLSTATE was said already; remembers it. */
static bool said(struct check_database *c, const char *sqlstate)
{
    for (size_t i = 0; i < sizeof(c->refusals) / sizeof(c->refusals[0]); i++) {
        char *known = c->refusals[i];
        if (strcmp(known, sqlstate) == 0)
            return true;
        if (known[0] == '\0') {
            memcpy(known, sqlstate, sizeof(c->refusals[0]));
            return false;
        }
    }
    return false;
}

void check_refused(struct check_database *c, const char *what, const struct pg_answer *answer)
{
    check_refused_at(c, c->queue->line, what, answer);
}

void check_refused_at(struct check_database *c, int line, const char *what,
                      const struct pg_answer *answer)
{
    c->clean = false;
    if (strcmp(answer->sqlstate, "57014") == 0)
        check_note("%s took longer than 5 s and was given up", what);
    else if (statements_unspeakable(answer->sqlstate))
        check_note("%s meets a text that has no form in UTF-8, which the sweeper reads as bytes",
                   what);
    else if (!said(c, answer->sqlstate))
        check_wrong(c, line, "%s is refused: %s (SQLSTATE %s): %s", what, answer->message,
                    answer->sqlstate, check_remedy(answer->sqlstate));
}

void check_unknown(const char *what, const struct pg_answer *answer)
{
    check_note("%s cannot be told: %s", what,
               answer->status == PG_DONE ? "an unexpected answer" : answer->message);
}
