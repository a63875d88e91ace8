/* What Postgres says of reservations by id. */
#include "reconcile/lookup.h"

#include "base/parse.h"
#include "link/pg_array.h"
#include "link/pg_link.h"
#include "queue/due_queue.h"
#include "reconcile/run.h"
#include "release/parts.h"

#include <assert.h>
#include <stdlib.h>

struct lookup_question {
    size_t n, asked;
    bool from_postgres;
    size_t *places; /* of the ids that were asked for, in the caller's entries */
    struct lookup *rows;
    lookup_cb *cb;
    void *arg;
};

void lookup_free(struct lookup_question *q)
{
    if (q == NULL)
        return;
    free(q->places);
    free(q->rows);
    free(q);
}

bool lookup_possible(const struct reconcile *r)
{
    return r->lookup == NULL && pg_link_up(r->link) && !pg_link_busy(r->link);
}

static void on_rows(struct reconcile *r, const struct pg_result *rows)
{
    struct lookup_question *q = r->lookup;
    r->lookup = NULL;
    bool right = pg_result_columns(rows) == 5 && (size_t)pg_result_rows(rows) == q->asked;
    for (int i = 0; right && i < pg_result_rows(rows); i++) {
        int64_t n = pg_result_int(rows, i, 0);
        if (n < 1 || (uint64_t)n > q->asked) {
            right = false;
            break;
        }
        struct lookup *row = &q->rows[q->places[n - 1]];
        row->found = pg_result_int(rows, i, 1) > 0;
        row->active = pg_result_int(rows, i, 2) > 0;
        if (parse_epoch_us(pg_result_text(rows, i, 3), &row->expires_us) != 0)
            row->expires_us = INT64_MAX;
        row->kept = pg_result_text(rows, i, 4)[0] == 't';
    }
    if (right)
        q->cb(r, q->arg, q->rows);
    else
        run_fail(r, "a look at reservations gave an unexpected answer");
    lookup_free(q);
}

/* The valid ones of the ids as an array, and their places. */
static char *id_array(struct lookup_question *q, enum id_kind kind, const struct due_entry *entries)
{
    struct pg_array ids = {0};
    for (size_t i = 0; i < q->n; i++) {
        if (!q->from_postgres && !parse_id_valid(kind, entries[i].id, entries[i].id_len))
            continue;
        pg_array_add(&ids, entries[i].id, entries[i].id_len);
        q->places[q->asked++] = i;
    }
    return pg_array_finish(&ids);
}

void lookup_ask(struct reconcile *r, const struct due_entry *entries, size_t n, bool from_postgres,
                lookup_cb *cb, void *arg)
{
    assert(n > 0 && r->lookup == NULL);
    struct lookup_question *q = calloc(1, sizeof(*q));
    char *ids = NULL;
    if (!statements_ready(r->parts->statements)) {
        free(q);
        run_fail(r, "the statements have to be made anew");
        return;
    }
    if (q != NULL) {
        q->n = n;
        q->from_postgres = from_postgres;
        q->places = calloc(n, sizeof(*q->places));
        q->rows = calloc(n, sizeof(*q->rows));
        q->cb = cb;
        q->arg = arg;
        if (q->places != NULL && q->rows != NULL)
            ids = id_array(q, statements_types(r->parts->statements)->id_kind, entries);
    }
    if (ids == NULL) {
        lookup_free(q);
        run_fail(r, "out of memory");
        return;
    }
    r->lookup = q;
    const char *params[] = {ids};
    run_ask(r, STATEMENT_LOOKUP, 1, params, on_rows);
    free(ids);
}
