/* Who holds a table locked that a statement has waited for in vain.
 *
 * The locks are looked at afterwards, not while it waits: that would take another connection. A
 * lock that has lasted for longer than a statement may wait is there for a moment more, nearly
 * always. Which tables the operator's SQL uses only Postgres knows; each word of it may be one, and
 * of those that are none nobody has a lock. */
#include "store/table_blocker.h"

#include "config/queue.h"
#include "config/queue_stock.h"
#include "link/pg_array.h"
#include "store/fragment.h"
#include "store/mapping.h"
#include "store/questions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_US INT64_C(5000000)
#define CANCELLED "57014"

enum { PID, USER, APPLICATION, GID, TABLE, SINCE, MODE, SINCE_TEXT, COLUMNS };

bool table_blocker_suspect(const char *sqlstate)
{
    return strcmp(sqlstate, TABLE_BLOCKER_LOCK_WAIT) == 0 || strcmp(sqlstate, CANCELLED) == 0;
}

/* Those of the operator's SQL, and the tables of queues that share the counters. */
static char *words_of(const struct queue *queue)
{
    struct fragment list[FRAGMENTS_MAX];
    struct pg_array words = {0};
    int n = fragment_list(queue, list);
    for (int i = 0; i < n; i++) {
        if (list[i].text != NULL)
            pg_array_add_names(&words, list[i].text->text);
        pg_array_add(&words, list[i].queue->table.name, strlen(list[i].queue->table.name));
    }
    return pg_array_finish(&words);
}

static char *tables_of(const struct queue *queue, struct pg_link *link)
{
    const struct queue_table *const tables[] = {&queue->table, &queue->stock.table};
    struct pg_array names = {0};
    for (int i = 0; i < (queue->stock.nkeys > 0 ? 2 : 1); i++) {
        char *name = mapping_table(tables[i], link);
        if (name != NULL)
            pg_array_add(&names, name, strlen(name));
        free(name);
    }
    return pg_array_finish(&names);
}

int table_blocker_ask(const struct queue *queue, struct pg_link *link, pg_answer_cb *cb, void *arg)
{
    char *tables = tables_of(queue, link), *words = words_of(queue);
    const char *params[] = {tables, words};
    const struct pg_query query = {
        .sql = question_text(QUESTION_TABLE_BLOCKER), .nparams = 2, .params = params};
    int rc =
        tables != NULL && words != NULL ? pg_link_send(link, &query, 1, DEADLINE_US, cb, arg) : -1;
    free(tables);
    free(words);
    return rc;
}

bool table_blocker_unknown(const char *sqlstate, const char *message, char *out, size_t size)
{
    bool locked = strcmp(sqlstate, TABLE_BLOCKER_LOCK_WAIT) == 0;
    if (locked)
        (void)snprintf(out, size,
                       "a table is locked for longer than a statement waits: the locks are in "
                       "pg_locks (%s)",
                       message);
    else
        (void)snprintf(out, size, "%s", message);
    return locked;
}

#define UNTIL ": nothing is released until that transaction ends"

static bool say(const struct pg_answer *answer, const char *sqlstate, const char *message,
                char *out, size_t size)
{
    const struct pg_result *r = answer->status == PG_DONE ? answer->results[0] : NULL;
    if (r == NULL || pg_result_rows(r) != 1 || pg_result_columns(r) != COLUMNS)
        return table_blocker_unknown(sqlstate, message, out, size);
    const char *since = pg_result_text(r, 0, SINCE_TEXT);
    const char *word = since[0] != '\0' ? " since " : "";
    if (pg_result_null(r, 0, PID))
        (void)snprintf(out, size,
                       "table %s is locked by a prepared transaction (gid \"%s\", user \"%s\", "
                       "%s)%s%s" UNTIL ", see pg_prepared_xacts",
                       pg_result_text(r, 0, TABLE), pg_result_text(r, 0, GID),
                       pg_result_text(r, 0, USER), pg_result_text(r, 0, MODE), word, since);
    else
        (void)snprintf(
            out, size,
            "table %s is locked by pid %s (user \"%s\", application \"%s\", %s)%s%s" UNTIL,
            pg_result_text(r, 0, TABLE), pg_result_text(r, 0, PID), pg_result_text(r, 0, USER),
            pg_result_text(r, 0, APPLICATION), pg_result_text(r, 0, MODE), word, since);
    return true;
}

/* What it was asked for, and how. */
struct question {
    char sqlstate[6];
    char message[PG_MESSAGE_SIZE];
    table_blocker_cb *cb;
    void *arg;
};

static void on_blocker(void *arg, const struct pg_answer *answer)
{
    struct question *q = arg;
    char sentence[PG_MESSAGE_SIZE];
    bool locked = say(answer, q->sqlstate, q->message, sentence, sizeof(sentence));
    q->cb(q->arg, sentence, locked);
    free(q);
}

int table_blocker_find(const struct queue *queue, struct pg_link *link,
                       const struct pg_answer *answer, table_blocker_cb *cb, void *arg)
{
    if (answer->status != PG_REFUSED || !table_blocker_suspect(answer->sqlstate))
        return -1;
    struct question *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return -1;
    *q = (struct question){.cb = cb, .arg = arg};
    memcpy(q->sqlstate, answer->sqlstate, sizeof(q->sqlstate));
    (void)snprintf(q->message, sizeof(q->message), "%s", answer->message);
    int rc = table_blocker_ask(queue, link, on_blocker, q);
    if (rc != 0)
        free(q);
    return rc;
}
