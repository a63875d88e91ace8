/* --check-config: what row security hides from `keep_while`. A payment that the role cannot see
 * keeps nothing: its hold is released. */
#include "app/check_refusal.h"
#include "app/check_steps.h"
#include "config/queue.h"
#include "link/pg_link.h"
#include "store/questions.h"

#include <stddef.h>

static void on_hidden(struct check_database *c, const struct pg_result *r,
                      const struct pg_answer *answer)
{
    if (r == NULL)
        check_unknown("whether row security hides what `keep_while` reads", answer);
    for (int i = 0; r != NULL && i < pg_result_rows(r); i++)
        check_note("row security of table %s, which `keep_while` reads, is in force for role %s "
                   "(policies: %s): what it hides keeps nothing, and is released",
                   pg_result_text(r, i, 0), c->role, pg_result_text(r, i, 1));
    check_next(c);
}

void check_keep(struct check_database *c)
{
    /* Where it is refused, the statements were. */
    if (c->queue->keep.condition.text != NULL && c->clean)
        check_ask_template(c, QUESTION_KEEP, on_hidden);
    else
        check_next(c);
}
