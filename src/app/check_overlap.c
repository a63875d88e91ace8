/* --check-config: rows that are active in two queues of one table. Each of them would release such
 * a row, by rules of its own. */
#include "app/check_refusal.h"
#include "app/check_steps.h"
#include "config/config.h"
#include "config/queue.h"
#include "config/queue_stock.h"
#include "config/queues.h"
#include "link/pg_link.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With others row security may show each of them rows of its own: a queue a tenant. */
static bool same_settings(const struct queue_settings *a, const struct queue_settings *b)
{
    bool same = a->n == b->n;
    for (int i = 0; i < 2 * a->n && same; i++)
        same = strcmp(a->all[i], b->all[i]) == 0;
    return same;
}

static bool in_one_table(const struct queue *a, const struct queue *b)
{
    const char *x = a->database.text, *y = b->database.text;
    bool one_database = x == NULL || y == NULL ? x == y : strcmp(x, y) == 0;
    return one_database && queue_tables_alike(&a->table, &b->table) &&
           same_settings(&a->settings, &b->settings);
}

/* The next queue behind this one in the file that has its table, from c->which on; NULL: none. */
static const struct queue *next_of(struct check_database *c)
{
    for (int n = config_queues(c->config); c->which < n; c->which++) {
        const struct queue *other = config_queue(c->config, c->which)->queue;
        if (in_one_table(c->queue, other))
            return other;
    }
    return NULL;
}

static void ask(struct check_database *c);

static void on_both(struct check_database *c, const struct pg_result *r,
                    const struct pg_answer *answer)
{
    const char *other = config_queue(c->config, c->which)->queue->name;
    char what[160];
    snprintf(what, sizeof(what), "whether a row is active in queue %s too", other);
    if (r == NULL)
        check_unknown(what, answer);
    else if (pg_result_rows(r) > 0)
        check_note("a row of table %s is active in queue %s too (%s %s): by whose rules it is "
                   "released is left to chance; let one `active` exclude the other",
                   check_table(c, 0), other, c->queue->id.text, pg_result_text(r, 0, 0));
    c->which++;
    ask(c);
}

static void ask(struct check_database *c)
{
    const struct queue *other = next_of(c);
    if (other == NULL) {
        check_next(c);
        return;
    }
    char *id = pg_link_quote_ident(c->link, c->queue->id.text), *sql = NULL;
    /* On lines of its own, so that a comment in it ends there. */
    if (id == NULL ||
        asprintf(&sql, "SELECT r.%s::pg_catalog.text FROM %s r WHERE (\n%s\n) AND (\n%s\n) LIMIT 1",
                 id, c->tables[0], c->queue->active.text, other->active.text) < 0)
        sql = NULL;
    check_ask(c, sql, 0, NULL, on_both);
    free(sql);
    free(id);
}

void check_overlap(struct check_database *c)
{
    c->which = 0;
    while (c->which < config_queues(c->config) && config_queue(c->config, c->which) != c->config)
        c->which++;
    c->which++; /* those before it have looked at it */
    ask(c);
}
