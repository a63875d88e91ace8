/* What the answer of a release says of each item. */
#include "release/outcomes.h"

#include "base/parse.h"
#include "base/time_units.h"
#include "link/pg_link.h"

#include <stdlib.h>
#include <string.h>

enum column {
    COL_N,
    COL_EXPIRES_AT,
    COL_UNITS,
    COL_UNHELD,
    COL_FOUND, /* that of a bulk release ends before it */
    COL_ACTIVE_ROWS,
    COL_DUE,
    COL_ADDS_UP,
    COL_NOTED,
    COLS,
    COL_KEPT = COLS, /* where reservations may be kept */
    COL_KEPT_SINCE,
    COL_KEPT_PAST,
    COL_DUE_AGAIN
};

/* What the answer of a backlog's release says. */
enum exception_column { EXCEPT_N, EXCEPT_UNITS, EXCEPT_UNHELD, EXCEPT_ADDS_UP, EXCEPT_COLS };

static bool is_true(const struct pg_result *r, int row, int column)
{
    return pg_result_text(r, row, column)[0] == 't';
}

static enum outcome outcome_of(const struct pg_result *r, int row)
{
    if (!pg_result_null(r, row, COL_UNITS))
        return OUTCOME_RELEASED;
    if (!is_true(r, row, COL_FOUND))
        return OUTCOME_MISSING;
    if (pg_result_int(r, row, COL_ACTIVE_ROWS) == 0)
        return OUTCOME_INACTIVE;
    if (!is_true(r, row, COL_DUE))
        return OUTCOME_NOT_DUE;
    return pg_result_columns(r) > COL_DUE_AGAIN && is_true(r, row, COL_KEPT) ? OUTCOME_KEPT
                                                                             : OUTCOME_LOCKED;
}

/* One row of the answer: an item has as many as it has rows in the table. A released row decides
 * for its item, since the statement flips all active rows or none. */
static void read_row(struct item *item, const struct pg_result *r, int row)
{
    enum outcome outcome = outcome_of(r, row);
    if (item->outcome == OUTCOME_RELEASED && outcome != OUTCOME_RELEASED)
        return;
    item->outcome = outcome;
    item->lock = LOCK_HELD;
    if (parse_epoch_us(pg_result_text(r, row, COL_EXPIRES_AT), &item->expires_us) != 0)
        item->expires_us = INT64_MAX;
    if (outcome == OUTCOME_KEPT)
        item->kept = (struct kept){
            .since_ms = pg_result_int(r, row, COL_KEPT_SINCE) / MS_US,
            .due_ms = ms_rounded_up(pg_result_null(r, row, COL_DUE_AGAIN)
                                        ? item->expires_us
                                        : pg_result_int(r, row, COL_DUE_AGAIN)),
            .attention = is_true(r, row, COL_KEPT_PAST),
        };
    bool unheld = !pg_result_null(r, row, COL_UNHELD);
    if (outcome == OUTCOME_RELEASED) {
        /* A number, or the statement would have failed. */
        struct units units = units_parse(pg_result_text(r, row, COL_UNITS));
        units_add(&item->units, &units);
        if (item->uncounted == 0) {
            free(item->counter);
            item->counter = NULL;
        }
        item->uncounted += unheld ? 1 : 0;
    }
    /* NULL, when memory ran out, only costs a later attempt. */
    if ((outcome == OUTCOME_LOCKED || outcome == OUTCOME_RELEASED) && unheld &&
        item->counter == NULL)
        item->counter = strdup(pg_result_text(r, row, COL_UNHELD));
}

/* As they were before any of them was tried. */
static void forget(struct item *const *items, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct item *item = items[i];
        free(item->counter);
        item->counter = NULL;
        item->outcome = OUTCOME_NONE;
        item->units = (struct units){0, 0};
        item->uncounted = 0;
    }
}

/* What has a row in the answer. Returns 0, or -1 when that is not what the statement gives. */
static int read_rows(struct item *const *items, size_t n_items, const struct pg_result *r,
                     bool bulk)
{
    for (int row = 0; row < pg_result_rows(r); row++) {
        int64_t n = pg_result_int(r, row, COL_N);
        if (n < 1 || (uint64_t)n > n_items || (bulk && pg_result_null(r, row, COL_UNITS)))
            return -1;
        read_row(items[n - 1], r, row);
    }
    /* Another spelling of one that is named: its time comes when that one is settled. */
    for (size_t i = 0; i < n_items && !bulk; i++) {
        if (items[i]->outcome == OUTCOME_NONE) {
            items[i]->outcome = OUTCOME_LOCKED;
            items[i]->lock = LOCK_HELD;
        }
    }
    return 0;
}

/* One thing that the answer to a backlog's release says of an item: it was not released, or has no
 * counter. */
static void read_exception(struct item *item, const struct pg_result *r, int row)
{
    if (pg_result_null(r, row, EXCEPT_UNHELD))
        item->outcome = OUTCOME_NONE;
    else if (item->uncounted++ == 0)
        item->counter = strdup(pg_result_text(r, row, EXCEPT_UNHELD));
}

/* Whatever is not named was released. As read_rows. */
static int read_exceptions(struct item *const *items, size_t n_items, const struct pg_result *r)
{
    struct units units = {0, 0};
    int totals = 0;
    for (size_t i = 0; i < n_items; i++)
        items[i]->outcome = OUTCOME_RELEASED;
    for (int row = 0; row < pg_result_rows(r); row++) {
        int64_t n = pg_result_int(r, row, EXCEPT_N);
        if (n < 0 || (uint64_t)n > n_items)
            return -1;
        if (n > 0) {
            read_exception(items[n - 1], r, row);
        } else {
            units = units_parse(pg_result_text(r, row, EXCEPT_UNITS));
            totals++;
        }
    }
    for (size_t i = 0; i < n_items; i++) {
        if (items[i]->outcome != OUTCOME_RELEASED)
            continue;
        items[i]->units = units;
        break;
    }
    return totals == 1 ? 0 : -1;
}

int outcomes_read(enum release_way way, struct item *const *items, size_t n,
                  const struct pg_result *r)
{
    static const int columns[RELEASE_WAYS] = {[RELEASE_CAREFUL] = COLS,
                                              [RELEASE_WAITING] = COLS,
                                              [RELEASE_BULK] = COL_FOUND,
                                              [RELEASE_BACKLOG] = EXCEPT_COLS};
    if (pg_result_columns(r) < columns[way])
        return -1;
    forget(items, n);
    return way == RELEASE_BACKLOG ? read_exceptions(items, n, r)
                                  : read_rows(items, n, r, way == RELEASE_BULK);
}

int outcomes_called(struct item *const *items, size_t n, const struct pg_result *r)
{
    bool *gone = calloc(n + 1, sizeof(*gone));
    int rc = gone != NULL && pg_result_columns(r) > 0 ? 0 : -1;
    for (int row = 0; rc == 0 && row < pg_result_rows(r); row++) {
        int64_t place = pg_result_int(r, row, 0);
        if (place < 1 || (uint64_t)place > n || items[place - 1]->outcome != OUTCOME_RELEASED)
            rc = -1;
        else
            gone[place] = true;
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (items[i]->outcome != OUTCOME_RELEASED || gone[i + 1])
            continue;
        items[i]->units = (struct units){0, 0};
        items[i]->outcome = OUTCOME_LOCKED; /* item->lock says LOCK_HELD */
    }
    free(gone);
    return rc;
}
