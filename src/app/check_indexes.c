/* --check-config: what indexes make cheap or dear. The planner says which of them serves: it alone
 * knows whether `active` implies what a partial index asks for. */
#include "app/check_refusal.h"
#include "app/check_steps.h"

#include "config/queue.h"
#include "link/pg_link.h"
#include "store/assignments.h"
#include "store/questions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDEXES_MAX 64
#define NAME_MAX_BYTES 132 /* of a name of 63 bytes, quoted, and its end */

/* What a plan says of how the rows are found. */
struct plan {
    bool told;         /* there is one */
    int scans, by_key; /* how often a table is read, and so by a condition on an index */
    bool filtered;     /* what it finds is more than what is wanted */
    bool combined;     /* of several indexes */
    char indexes[4][NAME_MAX_BYTES]; /* the first of those that are used */
    int nindexes;
};

struct index {
    char name[NAME_MAX_BYTES], first[NAME_MAX_BYTES];
    bool partial;
};

struct check_plans {
    struct plan id, due, counter;
    struct index indexes[INDEXES_MAX]; /* of the holds' table */
    int nindexes;
};

/* "Index Scan using due on holds r", "Bitmap Index Scan on due". */
static void note_index(struct plan *plan, const char *line)
{
    const char *name = strstr(line, " using ");
    name = name != NULL ? name + strlen(" using ") : strstr(line, "Bitmap Index Scan on ");
    if (name == NULL || plan->nindexes == 4)
        return;
    if (strncmp(name, "Bitmap", strlen("Bitmap")) == 0)
        name += strlen("Bitmap Index Scan on ");
    const char *end = strstr(name, " on ");
    snprintf(plan->indexes[plan->nindexes++], NAME_MAX_BYTES, "%.*s",
             (int)(end != NULL ? (size_t)(end - name) : strlen(name)), name);
}

static void read_plan(struct plan *plan, const struct pg_result *r)
{
    plan->told = true;
    for (int i = 0; i < pg_result_rows(r); i++) {
        const char *line = pg_result_text(r, i, 0);
        bool index = strstr(line, " Scan using ") != NULL || strstr(line, "Index Scan on ") != NULL;
        plan->scans += index || strstr(line, "Seq Scan on ") != NULL;
        plan->by_key += strstr(line, "Index Cond: ") != NULL;
        plan->filtered = plan->filtered || strstr(line, " Filter: ") != NULL;
        plan->combined = plan->combined || strstr(line, "BitmapAnd") != NULL;
        if (index)
            note_index(plan, line);
    }
}

/* Each table that it reads is read by a condition on an index. Without a plan: so it seems. */
static bool is_served(const struct plan *plan)
{
    return !plan->told || (plan->scans > 0 && plan->by_key == plan->scans);
}

static const struct index *find_index(const struct check_plans *p, const char *name)
{
    for (int i = 0; i < p->nindexes; i++)
        if (strcmp(p->indexes[i].name, name) == 0)
            return &p->indexes[i];
    return NULL;
}

/* What is due is found among active rows alone, in a part of the table that does not grow. */
static bool is_due_served(const struct check_plans *p)
{
    if (!is_served(&p->due) || p->due.combined)
        return false;
    bool partial = p->due.nindexes > 0;
    for (int i = 0; i < p->due.nindexes; i++) {
        const struct index *index = find_index(p, p->due.indexes[i]);
        partial = partial && index != NULL && index->partial;
    }
    return !p->due.told || partial || !p->due.filtered;
}

/* The column that says whether a row is active, which each release changes, if an index begins with
 * it; NULL: there is none. */
static const char *indexed_state(const struct check_database *c)
{
    const struct check_plans *p = c->plans;
    struct assignments changes = {0};
    const char *found = NULL;
    if (c->queue->released.text == NULL || assignments_read(&changes, c->queue->released.text) != 0)
        return NULL;
    for (int i = 0; i < p->nindexes && found == NULL; i++) {
        const char *first = p->indexes[i].first;
        if (first[0] != '\0' && assignments_have(&changes, first) &&
            strstr(c->queue->active.text, first) != NULL)
            found = first;
    }
    assignments_clear(&changes);
    return found;
}

/* Whether an index of all rows begins with the expiry: the one for what is due needs active rows.
 */
static bool indexes_all_expiries(const struct check_database *c)
{
    for (int i = 0; i < c->plans->nindexes; i++)
        if (!c->plans->indexes[i].partial &&
            strcmp(c->plans->indexes[i].first, c->queue->expires_at.text) == 0)
            return true;
    return false;
}

static void advise_due(const struct check_database *c)
{
    char active[512], table[256], expires[132];
    check_sql_table(c, 0, table, sizeof(table));
    check_sql_name(c, c->queue->expires_at.text, expires, sizeof(expires));
    check_sql(c->queue->active.text, active, sizeof(active));
    if (strcmp(active, "true") == 0)
        check_note("an index for what is due makes the feed and the scans cheap: CREATE INDEX "
                   "CONCURRENTLY ON %s (%s)",
                   table, expires);
    else
        check_note("an index for what is due makes the feed and the scans cheap: CREATE INDEX "
                   "CONCURRENTLY ON %s (%s) WHERE %s",
                   table, expires, active);
}

static void advise(struct check_database *c)
{
    const struct check_plans *p = c->plans;
    char keys[256];
    const char *table = check_table(c, 0), *expires = c->queue->expires_at.text;
    const char *state = indexed_state(c);
    bool by_id = is_served(&p->id), by_key = c->stock_is_view || is_served(&p->counter);
    bool due = is_due_served(p), all = !c->queue->deletes && indexes_all_expiries(c);
    if (!by_id)
        check_note("no index of %s begins with %s: each release reads the whole table", table,
                   c->queue->id.text);
    if (!by_key)
        check_note("no index of %s begins with %s: each release reads the whole table",
                   check_table(c, 1), check_key(c, keys, sizeof(keys)));
    if (!due)
        advise_due(c);
    if (state != NULL || (all && p->due.filtered))
        check_note(
            "an index on %s%s%s of %s is written by each release; beside the one for what is "
            "due the sweeper has no use for it: drop it, unless the shop has",
            state != NULL ? state : "", state != NULL && all ? " and " : "", all ? expires : "",
            table);
    else if (by_id && by_key && due)
        check_ok("indexes: nothing to gain");
}

static void on_indexes(struct check_database *c, const struct pg_result *r,
                       const struct pg_answer *answer)
{
    if (r == NULL) {
        check_unknown("what indexes there are", answer);
        check_next(c);
        return;
    }
    for (int i = 0; i < pg_result_rows(r) && c->plans->nindexes < INDEXES_MAX; i++) {
        struct index *index = &c->plans->indexes[c->plans->nindexes++];
        snprintf(index->name, sizeof(index->name), "%s", pg_result_text(r, i, 0));
        snprintf(index->first, sizeof(index->first), "%s", pg_result_text(r, i, 1));
        index->partial = pg_result_text(r, i, 2)[0] == 't';
    }
    advise(c);
    check_next(c);
}

static void ask_for_plans(struct check_database *c);

static void on_plan(struct check_database *c, const struct pg_result *r,
                    const struct pg_answer *answer)
{
    struct plan *const plans[] = {&c->plans->id, &c->plans->due, &c->plans->counter};
    if (r == NULL)
        check_unknown("which index serves", answer);
    else
        read_plan(plans[c->which], r);
    c->which++;
    ask_for_plans(c);
}

/* One plan after the other; then what indexes there are. */
static void ask_for_plans(struct check_database *c)
{
    static const enum question_id questions[] = {QUESTION_PLAN_ID, QUESTION_PLAN_DUE,
                                                 QUESTION_PLAN_COUNTER};
    const char *params[] = {c->tables[0]};
    int n = c->tables[1] != NULL ? 3 : 2;
    if (c->which < n)
        check_ask_plan(c, questions[c->which], on_plan);
    else
        check_ask(c, question_text(QUESTION_INDEXES), 1, params, on_indexes);
}

void check_indexes(struct check_database *c)
{
    c->plans = calloc(1, sizeof(*c->plans));
    if (c->plans == NULL)
        check_lost(c, "out of memory");
    else
        ask_for_plans(c);
}

void check_indexes_clear(struct check_database *c)
{
    free(c->plans);
    c->plans = NULL;
}
