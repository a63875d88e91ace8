/* Looking at reservations by id, all rows of one together (sql/lookup.sql). */
#include "base/parse.h"
#include "link/pg_array.h"
#include "link/pg_link.h"
#include "reconcile/reconcile_private.h"
#include "release/parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct lookup_question {
    size_t n, asked;
    bool from_postgres;
    size_t *places; /* of the ids that were asked for, in the caller's entries */
    struct lookup *looks;
    void (*cb)(struct reconcile *r, void *arg, const struct lookup *looks);
    void *arg;
};

void lookup_free(struct lookup_question *l)
{
    if (l == NULL)
        return;
    free(l->places);
    free(l->looks);
    free(l);
}

bool lookup_possible(const struct reconcile *r)
{
    return r->lookup == NULL && pg_link_up(r->link) && !pg_link_busy(r->link);
}

static void on_looks(struct reconcile *r, const struct pg_result *rows)
{
    struct lookup_question *l = r->lookup;
    r->lookup = NULL;
    bool right = pg_result_columns(rows) == 4 && (size_t)pg_result_rows(rows) == l->asked;
    for (int i = 0; right && i < pg_result_rows(rows); i++) {
        int64_t n = pg_result_int(rows, i, 0);
        if (n < 1 || (uint64_t)n > l->asked) {
            right = false;
            break;
        }
        struct lookup *look = &l->looks[l->places[n - 1]];
        look->found = pg_result_int(rows, i, 1) > 0;
        look->active = pg_result_int(rows, i, 2) > 0;
        if (parse_epoch_us(pg_result_text(rows, i, 3), &look->expires_us) != 0)
            look->expires_us = INT64_MAX;
    }
    if (right)
        l->cb(r, l->arg, l->looks);
    else
        run_fail(r, "a look at reservations gave an unexpected answer");
    lookup_free(l);
}

/* The valid ones of the ids as an array, and their places. */
static char *id_array(struct lookup_question *l, enum id_kind kind, const struct due_entry *entries)
{
    struct pg_array ids = {0};
    for (size_t i = 0; i < l->n; i++) {
        if (!l->from_postgres && !parse_id_valid(kind, entries[i].id, entries[i].id_len))
            continue;
        pg_array_add(&ids, entries[i].id, entries[i].id_len);
        l->places[l->asked++] = i;
    }
    return pg_array_finish(&ids);
}

void lookup_ask(struct reconcile *r, const struct due_entry *entries, size_t n, bool from_postgres,
                void (*cb)(struct reconcile *r, void *arg, const struct lookup *looks), void *arg)
{
    assert(n > 0 && r->lookup == NULL);
    struct lookup_question *l = calloc(1, sizeof(*l));
    char *ids = NULL;
    if (!statements_ready(r->parts->statements)) {
        free(l);
        run_fail(r, "the statements have to be made anew");
        return;
    }
    if (l != NULL) {
        l->n = n;
        l->from_postgres = from_postgres;
        l->places = calloc(n, sizeof(*l->places));
        l->looks = calloc(n, sizeof(*l->looks));
        l->cb = cb;
        l->arg = arg;
        if (l->places != NULL && l->looks != NULL)
            ids = id_array(l, statements_types(r->parts->statements)->id_kind, entries);
    }
    if (ids == NULL) {
        lookup_free(l);
        run_fail(r, "out of memory");
        return;
    }
    r->lookup = l;
    const char *params[] = {ids};
    run_ask(r, STATEMENT_LOOKUP, 1, params, on_looks);
    free(ids);
}
