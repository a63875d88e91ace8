/* --check-config: whether a row may become released, by what the table's constraints say. */
#include "app/check_refusal.h"
#include "app/check_steps.h"

#include "link/pg_link.h"
#include "store/mapping.h"
#include "store/questions.h"

#include <stdlib.h>
#include <string.h>

/* What a row must satisfy to become released (sql/check_states.sql). */
struct check_rule {
    char *kind, *name, *says;
    char *question; /* how many rows were looked at, how many of them it refuses */
};

static void ask_rule(struct check_database *c);

static void say_rule(struct check_database *c, const struct check_rule *rule,
                     const struct pg_result *r)
{
    const char *table = mapping_name_text(NAME_RESERVATIONS);
    const char *state = mapping_name_text(NAME_RELEASED);
    const char *column = mapping_name_text(NAME_STATUS);
    const char *what = strcmp(rule->kind, "policy") == 0 ? "row security by" : "constraint";
    c->clean = false;
    if (strcmp(rule->kind, "key") == 0)
        check_fail(
            c->report,
            "the foreign key %s of table %s refuses the state '%s', which is not in %s: INSERT "
            "it there",
            rule->name, table, state, rule->says);
    else if (strcmp(rule->kind, "unique") == 0)
        check_fail(
            c->report,
            "the unique index %s of table %s refuses the state '%s' for %s of %s active rows, "
            "since others of the same key are in it: let it count active rows alone (WHERE)",
            rule->name, table, state, pg_result_text(r, 0, 1), pg_result_text(r, 0, 0));
    else if (strcmp(rule->kind, "partition") == 0)
        check_fail(
            c->report,
            "no partition of table %s takes a row that becomes '%s': create one for it, or a "
            "default one",
            table, state);
    else if (strcmp(pg_result_text(r, 0, 0), pg_result_text(r, 0, 1)) == 0)
        check_fail(c->report, "the %s %s of table %s, %.200s, refuses the %s '%s': allow it there",
                   what, rule->name, table, rule->says, column, state);
    else
        check_fail(c->report,
                   "the %s %s of table %s, %.200s, refuses the %s '%s' for %s of %s active rows: "
                   "allow it there",
                   what, rule->name, table, rule->says, column, state, pg_result_text(r, 0, 1),
                   pg_result_text(r, 0, 0));
}

static void on_rule(struct check_database *c, const struct pg_result *r,
                    const struct pg_answer *answer)
{
    const struct check_rule *rule = &c->rules[c->which];
    if (r == NULL && strcmp(rule->kind, "domain") == 0) {
        check_refused(c, "the state 'released'", answer);
    } else if (r == NULL) {
        c->clean = false; /* what is not known is not said to be so */
        check_note("whether %s lets a row become released cannot be told: %s", rule->name,
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
        check_ok("a row may become released");
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
        rule->kind = strdup(pg_result_text(r, i, 0));
        rule->name = strdup(pg_result_text(r, i, 1));
        rule->says = strdup(pg_result_text(r, i, 2));
        rule->question = strdup(pg_result_text(r, i, 3));
        if (rule->kind == NULL || rule->name == NULL || rule->says == NULL ||
            rule->question == NULL)
            return -1;
    }
    return 0;
}

static void on_states(struct check_database *c, const struct pg_result *r,
                      const struct pg_answer *answer)
{
    if (r == NULL || pg_result_columns(r) != 4) {
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

void check_states(struct check_database *c)
{
    const char *params[] = {c->tables[0], mapping_name_text(NAME_STATUS),
                            mapping_name_text(NAME_UPDATED_AT), mapping_name_text(NAME_ACTIVE),
                            mapping_name_text(NAME_RELEASED)};
    check_ask(c, question_text(QUESTION_STATES), 5, params, on_states);
}

void check_states_clear(struct check_database *c)
{
    for (int i = 0; i < c->nrules; i++) {
        free(c->rules[i].kind);
        free(c->rules[i].name);
        free(c->rules[i].says);
        free(c->rules[i].question);
    }
    free(c->rules);
}
