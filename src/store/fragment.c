/* Proofs of the operator's SQL.
 *
 * The file's reader has looked at each piece by itself (config/queue_sql.h): brackets are closed,
 * nothing has an open end. What it is only Postgres can say, which parses it within something that
 * goes on behind it:
 * - A condition as an element of an array, and as a condition in brackets: "a) OR (1=1" passes the
 *   brackets and no array, "a, true" the other way round.
 * - Assignments before others, so that no FROM, WHERE or RETURNING follows them, of the columns
 * that they must leave alone: no column is assigned twice.
 * - A statement of `also` as it is sent: the protocol takes one in a message. So is the call of a
 *   function: whether there is one of this name for an array of such ids.
 * - A query of `verify` by itself, and within another, as it is sent.
 *
 * Each piece stands on lines of its own, since it may end in a comment. They are parsed and not
 * executed: there is no EXPLAIN that a text could make an EXPLAIN ANALYZE of. */
#include "store/fragment.h"

#include "base/time_units.h"
#include "config/queue_stock.h"
#include "config/queues.h"
#include "link/pg_link.h"
#include "store/also.h"
#include "store/mapping.h"
#include "store/sql_texts.h"
#include "store/table_blocker.h"
#include "store/verify.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_US (5 * SECOND_US)

/* A table may be locked by a migration. A backslash in a literal is one only so: the reader goes by
 * that. */
static const char settings_sql[] =
    PG_SETTINGS_3("pg_catalog.current_setting('standard_conforming_strings')",
                  PG_SET("lock_timeout", "'1s'"), PG_SET("statement_timeout", "'4s'"));

/* Columns of which each is assigned once. */
struct kept {
    const char *list[QUEUE_KEYS_MAX + 3];
    int n;
};

static void keep(struct kept *kept, const struct queue_text *column)
{
    bool known = column->text == NULL;
    for (int i = 0; i < kept->n && !known; i++)
        known = strcmp(kept->list[i], column->text) == 0;
    if (!known)
        kept->list[kept->n++] = column->text;
}

static int put_assignments(FILE *out, const char *sql, const struct kept *kept,
                           struct pg_link *link)
{
    int rc = fprintf(out, "\n%s\n", sql) < 0 ? -1 : 0;
    for (int i = 0; i < kept->n && rc == 0; i++) {
        char *column = pg_link_quote_ident(link, kept->list[i]);
        rc = column == NULL || fprintf(out, ", %s = DEFAULT", column) < 0 ? -1 : 0;
        free(column);
    }
    return rc != 0 || fputs(" WHERE false", out) < 0 ? -1 : 0;
}

static int put_released(FILE *out, const struct queue *q, const char *table, struct pg_link *link)
{
    struct kept kept = {.n = 0};
    keep(&kept, &q->id);
    keep(&kept, &q->quantity);
    for (int i = 0; i < q->stock.nkeys; i++)
        keep(&kept, &q->stock.keys[i].hold);
    return fprintf(out, "UPDATE %s r SET ", table) < 0
               ? -1
               : put_assignments(out, q->released.text, &kept, link);
}

static int put_stock_set(FILE *out, const struct queue *q, const char *table, struct pg_link *link)
{
    struct kept kept = {.n = 0};
    keep(&kept, &q->stock.free);
    keep(&kept, &q->stock.held);
    keep(&kept, &q->stock.total);
    for (int i = 0; i < q->stock.nkeys; i++)
        keep(&kept, &q->stock.keys[i].counter);
    return fprintf(out, "UPDATE %s i SET ", table) < 0
               ? -1
               : put_assignments(out, q->stock.set.text, &kept, link);
}

static int put_proof(FILE *out, const struct fragment *f, const struct queue *q, const char *table,
                     struct pg_link *link)
{
    if (f->wrap == FRAGMENT_RELEASED)
        return put_released(out, q, table, link);
    if (f->wrap == FRAGMENT_STOCK_SET)
        return put_stock_set(out, q, table, link);
    if (f->wrap == FRAGMENT_ELEMENT)
        return fprintf(out, "SELECT ARRAY[\n%s\n] FROM %s r", f->text->text, table) < 0 ? -1 : 0;
    return fprintf(out, "SELECT FROM %s r WHERE (\n%s\n)", table, f->text->text) < 0 ? -1 : 0;
}

char *fragment_proof(const struct fragment *f, const struct mapping_types *types,
                     struct pg_link *link)
{
    const struct queue *q = f->queue;
    char *sql = NULL;
    size_t size = 0;
    if (f->wrap == FRAGMENT_ALSO)
        return also_render(types, f->number - 1, link);
    if (f->wrap == FRAGMENT_CALL)
        return mapping_render(sql_call, types, 0, link);
    if (f->wrap == FRAGMENT_QUERY)
        return strdup(f->text->text);
    if (f->wrap == FRAGMENT_VERIFY)
        return verify_render(q, f->number - 1);
    char *table = mapping_table(f->wrap == FRAGMENT_STOCK_SET ? &q->stock.table : &q->table, link);
    FILE *out = table != NULL ? open_memstream(&sql, &size) : NULL;
    int rc = out != NULL ? put_proof(out, f, q, table, link) : -1;
    free(table);
    if (out == NULL || fclose(out) != 0 || rc != 0) {
        free(sql);
        return NULL;
    }
    return sql;
}

void fragment_also_place(const struct queue *q, int i, char *out, size_t size)
{
    queue_place(q, q->also[i].line, out, size);
    size_t len = strlen(out);
    (void)snprintf(out + len, size - len, "also (statement %d): ", i + 1);
}

void fragment_call_place(const struct queue *q, char *out, size_t size)
{
    queue_place(q, q->call.line, out, size);
    size_t len = strlen(out);
    (void)snprintf(out + len, size - len, "call: ");
}

void fragment_verify_place(const struct queue *q, int i, char *out, size_t size)
{
    queue_place(q, q->verify[i].line, out, size);
    size_t len = strlen(out);
    (void)snprintf(out + len, size - len, "verify (query %d): ", i + 1);
}

void fragment_refusal(const struct fragment *f, const char *message, char *out, size_t size)
{
    const struct queue *q = f->queue;
    char place[256];
    if (f->wrap == FRAGMENT_ALSO) {
        fragment_also_place(q, f->number - 1, place, sizeof(place));
    } else if (f->number > 0) {
        fragment_verify_place(q, f->number - 1, place, sizeof(place));
    } else {
        queue_place(q, f->line, place, sizeof(place));
        size_t len = strlen(place);
        (void)snprintf(place + len, sizeof(place) - len, "%s: ", f->key);
    }
    (void)snprintf(out, size, "%sPostgres refuses it: %s", place, message);
}

/* ---- All of a queue's */

struct proving {
    const struct queue *queue;
    struct fragment list[FRAGMENTS_MAX];
    int n;
    struct pg_link *link;
    bool locked;                    /* a table is, and of the SQL nothing is known */
    char sentence[PG_MESSAGE_SIZE]; /* "": all are proved */
    void (*done)(void *arg, const char *error, bool locked);
    void *arg;
};

/* Of a queue that shares the counters only the table can be missing: its conditions are on the row
 * alone. */
static void refuse(const struct proving *p, const struct fragment *f,
                   const struct pg_answer *answer, char *out, size_t size)
{
    if (f->queue == p->queue || strcmp(answer->sqlstate, "42P01") != 0) {
        fragment_refusal(f, answer->message, out, size);
        return;
    }
    queue_place(f->queue, f->queue->table.line, out, size);
    size_t len = strlen(out);
    (void)snprintf(out + len, size - len, "there is no table %s", f->queue->table.written);
}

static void conclude(struct proving *p)
{
    p->done(p->arg, p->sentence[0] != '\0' ? p->sentence : NULL, p->locked);
    free(p);
}

/* It was given up: no line of the file is at fault, but whoever holds a table. */
static void on_blocker(void *arg, const char *sentence, bool locked)
{
    struct proving *p = arg;
    (void)snprintf(p->sentence, sizeof(p->sentence), "%s", sentence);
    p->locked = locked;
    conclude(p);
}

static void on_answer(void *arg, const struct pg_answer *answer)
{
    struct proving *p = arg;
    int place = answer->refused - 1; /* behind the settings */
    if (table_blocker_find(p->queue, p->link, answer, on_blocker, p) == 0)
        return;
    if (answer->status == PG_REFUSED && table_blocker_suspect(answer->sqlstate))
        p->locked = table_blocker_unknown(answer->sqlstate, answer->message, p->sentence,
                                          sizeof(p->sentence));
    else if (answer->status == PG_REFUSED && place >= 0 && place < p->n)
        refuse(p, &p->list[place], answer, p->sentence, sizeof(p->sentence));
    else if (answer->status != PG_DONE)
        (void)snprintf(p->sentence, sizeof(p->sentence), "%s", answer->message);
    else if (strcmp(pg_result_text(answer->results[0], 0, 0), "on") != 0)
        (void)snprintf(p->sentence, sizeof(p->sentence),
                       "standard_conforming_strings is off for this role or database: SQL of a "
                       "queues file is read as it is on");
    conclude(p);
}

int fragment_prove(const struct mapping_types *types, struct pg_link *link,
                   void (*done)(void *arg, const char *error, bool locked), void *arg)
{
    struct pg_query queries[1 + FRAGMENTS_MAX] = {{.sql = settings_sql}};
    char *proofs[FRAGMENTS_MAX] = {NULL};
    int rc = 0;
    struct proving *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return -1;
    *p = (struct proving){.queue = types->queue, .link = link, .done = done, .arg = arg};
    p->n = fragment_list(types->queue, p->list);
    for (int i = 0; i < p->n; i++) {
        proofs[i] = fragment_proof(&p->list[i], types, link);
        queries[1 + i] = (struct pg_query){.sql = proofs[i], .parse_only = true};
        rc = proofs[i] == NULL ? -1 : rc;
    }
    if (rc == 0)
        rc = pg_link_send(link, queries, 1 + p->n, DEADLINE_US, on_answer, p);
    for (int i = 0; i < p->n; i++)
        free(proofs[i]);
    if (rc != 0)
        free(p);
    return rc;
}
