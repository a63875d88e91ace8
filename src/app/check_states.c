/* --check-config: whether a row may be released, by what the table's constraints say. */
#include "app/check_refusal.h"
#include "app/check_steps.h"

#include "config/queue.h"
#include "link/pg_array.h"
#include "link/pg_link.h"
#include "store/assignments.h"
#include "store/questions.h"

#include <stdlib.h>
#include <string.h>

/* What a row must satisfy to be released (sql/check_states.sql). */
struct check_rule {
    char *kind, *name, *says;
    char *change;   /* what of `released` it minds */
    char *question; /* how many rows were looked at, how many of them it refuses */
};

enum { KIND, NAME, SAYS, CHANGE, QUESTION, RULE_COLUMNS };

static void ask_rule(struct check_database *c);

static void say_rule(struct check_database *c, const struct check_rule *rule,
                     const struct pg_result *r)
{
    const char *table = check_table(c, 0);
    const char *what = strcmp(rule->kind, "policy") == 0 ? "row security by" : "constraint";
    const char *looked_at = pg_result_text(r, 0, 0), *refused = pg_result_text(r, 0, 1);
    int line = c->queue->released.line;
    c->clean = false;
    if (strcmp(rule->kind, "key") == 0)
        check_wrong(
            c, line,
            "the foreign key %s of table %s refuses %s, which is not in %s: INSERT it there",
            rule->name, table, rule->change, rule->says);
    else if (strcmp(rule->kind, "unique") == 0)
        check_wrong(c, line,
                    "the unique index %s of table %s refuses %s for %s of %s active rows, since "
                    "others of the same key have it: let it count active rows alone (WHERE)",
                    rule->name, table, rule->change, refused, looked_at);
    else if (strcmp(rule->kind, "partition") == 0)
        check_wrong(c, line,
                    "no partition of table %s takes a row with %s: create one for it, or a default "
                    "one",
                    table, rule->change);
    else if (strcmp(looked_at, refused) == 0)
        check_wrong(c, line, "the %s %s of table %s, %.200s, refuses %s: allow it there", what,
                    rule->name, table, rule->says, rule->change);
    else
        check_wrong(c, line,
                    "the %s %s of table %s, %.200s, refuses %s for %s of %s active rows: allow it "
                    "there",
                    what, rule->name, table, rule->says, rule->change, refused, looked_at);
}

static void on_rule(struct check_database *c, const struct pg_result *r,
                    const struct pg_answer *answer)
{
    const struct check_rule *rule = &c->rules[c->which];
    if (r == NULL && strcmp(rule->kind, "domain") == 0) {
        check_refused(c, rule->change, answer);
    } else if (r == NULL) {
        c->clean = false; /* what is not known is not said to be so */
        check_note("whether %s lets a row be released cannot be told: %s", rule->name,
                   answer->message);
    } else if (pg_result_int(r, 0, 1) > 0) {
        say_rule(c, rule, r);
    }
    c->which++;
    ask_rule(c);
}

static void ask_rule(struct check_database *c)
{
    if (c->which < c->nrules) {
        check_ask(c, c->rules[c->which].question, 0, NULL, on_rule);
        return;
    }
    if (c->clean)
        check_ok("a row may be released");
    check_next(c);
}

/* -1: out of memory. */
static int copy_rules(struct check_database *c, const struct pg_result *r)
{
    c->rules = calloc((size_t)pg_result_rows(r) + 1, sizeof(*c->rules));
    if (c->rules == NULL)
        return -1;
    for (int i = 0; i < pg_result_rows(r); i++) {
        struct check_rule *rule = &c->rules[c->nrules++];
        rule->kind = strdup(pg_result_text(r, i, KIND));
        rule->name = strdup(pg_result_text(r, i, NAME));
        rule->says = strdup(pg_result_text(r, i, SAYS));
        rule->change = strdup(pg_result_text(r, i, CHANGE));
        rule->question = strdup(pg_result_text(r, i, QUESTION));
        if (rule->kind == NULL || rule->name == NULL || rule->says == NULL ||
            rule->change == NULL || rule->question == NULL)
            return -1;
    }
    return 0;
}

static void on_states(struct check_database *c, const struct pg_result *r,
                      const struct pg_answer *answer)
{
    if (r == NULL || pg_result_columns(r) != RULE_COLUMNS) {
        check_unknown("what the constraints say", answer);
        check_next(c);
        return;
    }
    if (copy_rules(c, r) != 0) {
        check_fail(c->report, "out of memory");
        check_end(c);
        return;
    }
    ask_rule(c);
}

static char *array_of(const struct assignments *changes, bool columns)
{
    struct pg_array array = {0};
    for (size_t i = 0; i < changes->n; i++) {
        const char *text = columns ? changes->list[i].column : changes->list[i].value;
        pg_array_add(&array, text, strlen(text));
    }
    return pg_array_finish(&array);
}

/* What a deleted row is like nobody minds; what a function makes of it nobody knows. Assignments of
 * another form are looked at by EXPLAIN alone. */
void check_states(struct check_database *c)
{
    struct assignments changes = {0};
    if (c->queue->released.text == NULL ||
        assignments_read(&changes, c->queue->released.text) != 0) {
        check_next(c);
        return;
    }
    char *columns = array_of(&changes, true);
    char *values = array_of(&changes, false);
    assignments_clear(&changes);
    const char *params[] = {c->tables[0], columns, values, c->queue->active.text};
    if (columns != NULL && values != NULL)
        check_ask(c, question_text(QUESTION_STATES), 4, params, on_states);
    else
        check_lost(c, "out of memory");
    free(columns);
    free(values);
}

void check_states_clear(struct check_database *c)
{
    for (int i = 0; i < c->nrules; i++) {
        free(c->rules[i].kind);
        free(c->rules[i].name);
        free(c->rules[i].says);
        free(c->rules[i].change);
        free(c->rules[i].question);
    }
    free(c->rules);
}
