/* Answers of the servers, as facts. */
#include "app/explain_read.h"

#include "app/explain_words.h"
#include "base/parse.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue.h"
#include "link/pg_array.h"
#include "link/pg_link.h"
#include "queue/repair.h"
#include "release/kept_record.h"
#include "release/release.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Redis ---- */

/* 0: there is none. */
static int64_t score_ms(const struct due_text *score)
{
    int64_t ms = 0;
    if (score->text == NULL || parse_score_ms(score->text, score->len, &ms) != 0)
        return 0;
    return ms > 0 ? ms : 1;
}

void explain_read_redis(struct explain_facts *f, const struct due_state *state)
{
    f->entry_ms = score_ms(&state->pending);
    f->lease_ms = score_ms(&state->inflight);
    f->failed = state->record.text != NULL;
    f->kept_record = state->kept.text != NULL;
    if (f->failed)
        failed_record_tell(&f->failure, state->record.text, state->record.len);
    if (f->kept_record) {
        struct kept kept;
        kept_record_read(&kept, state->kept.text, state->kept.len);
        f->keep.since_ms = kept.since_ms;
        f->keep.attention = kept.attention;
        f->keep.again_ms = kept_record_again_ms(state->kept.text, state->kept.len);
    }
}

/* ---- holds ---- */

static void copy(char *to, size_t size, const struct pg_result *r, int row, int column)
{
    snprintf(to, size, "%s", pg_result_text(r, row, column));
}

/* A boolean; NULL is not known. */
static enum explain_answer answer(const struct pg_result *r, int row, int column)
{
    if (pg_result_null(r, row, column))
        return EXPLAIN_UNKNOWN;
    return pg_result_text(r, row, column)[0] == 't' ? EXPLAIN_YES : EXPLAIN_NO;
}

static bool is_true(const struct pg_result *r, int row, int column)
{
    return answer(r, row, column) == EXPLAIN_YES;
}

/* In microseconds; without one `none`. */
static int64_t seconds_us(const struct pg_result *r, int row, int column, int64_t none)
{
    int64_t us = none;
    if (!pg_result_null(r, row, column) && parse_epoch_us(pg_result_text(r, row, column), &us) != 0)
        us = none;
    return us;
}

/* The columns of sql/explain_holds.sql. */
enum { CLOCK, ACTIVE, ENDS, DUE, KEEP, CHANGED, EXPIRES, UNITS, KEY, VALUES, HOLD_COLUMNS };

int explain_read_holds(struct explain_facts *f, const struct pg_result *lookup,
                       const struct pg_result *holds)
{
    if (pg_result_columns(lookup) != 5 || pg_result_rows(lookup) != 1 ||
        pg_result_columns(holds) != HOLD_COLUMNS)
        return -1;
    f->looked = true;
    f->rows = pg_result_int(lookup, 0, 1);
    f->active_rows = pg_result_int(lookup, 0, 2);
    f->due_us = seconds_us(lookup, 0, 3, EXPLAIN_NEVER);
    f->kept = is_true(lookup, 0, 4);
    for (int i = 0; i < pg_result_rows(holds) && i < EXPLAIN_HOLDS_MAX; i++) {
        struct explain_hold *h = &f->holds[f->nholds++];
        f->now_us = pg_result_int(holds, i, CLOCK);
        h->active = is_true(holds, i, ACTIVE);
        h->due_us = seconds_us(holds, i, DUE, EXPLAIN_NEVER);
        h->ends = is_true(holds, i, ENDS) && h->due_us != EXPLAIN_NEVER;
        h->keep = answer(holds, i, KEEP);
        h->changed_us = seconds_us(holds, i, CHANGED, 0);
        copy(h->expires, sizeof(h->expires), holds, i, EXPIRES);
        copy(h->quantity, sizeof(h->quantity), holds, i, UNITS);
        copy(h->key, sizeof(h->key), holds, i, KEY);
        copy(h->values, sizeof(h->values), holds, i, VALUES);
    }
    return 0;
}

/* ---- counters ---- */

void explain_read_counters(struct explain_facts *f, const struct pg_result *r)
{
    if (pg_result_columns(r) != 6)
        return;
    for (int i = 0; i < pg_result_rows(r) && f->ncounters < EXPLAIN_COUNTERS_MAX; i++) {
        struct explain_counter *c = &f->counters[f->ncounters++];
        copy(c->key, sizeof(c->key), r, i, 0);
        c->missing = !is_true(r, i, 1);
        copy(c->free, sizeof(c->free), r, i, 2);
        copy(c->held, sizeof(c->held), r, i, 3);
        copy(c->total, sizeof(c->total), r, i, 4);
        c->lacks = is_true(r, i, 5);
    }
}

void explain_read_sums(struct explain_facts *f, const struct pg_result *r)
{
    for (int i = 0; i < pg_result_rows(r) && pg_result_columns(r) == 3; i++) {
        char key[EXPLAIN_KEY];
        copy(key, sizeof(key), r, i, 0);
        for (int j = 0; j < f->ncounters; j++) {
            struct explain_counter *c = &f->counters[j];
            if (strcmp(c->key, key) != 0)
                continue;
            copy(c->sum, sizeof(c->sum), r, i, 1);
            c->fits = answer(r, i, 2);
        }
    }
}

/* ---- locks ---- */

/* pid, user, application and gid stand side by side from this column on. */
static void read_holder(struct explain_blocker *b, const struct pg_result *r, int row, int column)
{
    struct locked_holder *h = &b->holder;
    h->known = !pg_result_null(r, row, column) || !pg_result_null(r, row, column + 3);
    h->pid = (int32_t)pg_result_int(r, row, column);
    copy(h->user, sizeof(h->user), r, row, column + 1);
    copy(h->application, sizeof(h->application), r, row, column + 2);
    copy(h->gid, sizeof(h->gid), r, row, column + 3);
}

void explain_read_blocker(struct explain_blocker *b, const struct pg_result *r, int row)
{
    copy(b->product, sizeof(b->product), r, row, 1);
    copy(b->holder.what, sizeof(b->holder.what), r, row, 2);
    read_holder(b, r, row, 3);
    b->since_us = seconds_us(r, row, 7, 0);
}

bool explain_is_sweeper(const struct explain_blocker *b)
{
    static const char name[] = "reservation-sweeper";
    return b->holder.pid != 0 && strncmp(b->holder.application, name, sizeof(name) - 1) == 0;
}

/* Than a sweeper's: who stands in the way, and a sweeper that has this very reservation. */
static bool more_telling(const struct explain_blocker *b, const struct explain_blocker *sweeper)
{
    return !explain_is_sweeper(b) || (strcmp(b->holder.what, "reservation") == 0 &&
                                      strcmp(sweeper->holder.what, "counter") == 0);
}

void explain_read_blockers(struct explain_facts *f, const struct pg_result *r)
{
    struct explain_blocker *known = &f->blocker;
    for (int i = 0; i < pg_result_rows(r) && pg_result_columns(r) == EXPLAIN_BLOCKER_COLUMNS; i++) {
        struct explain_blocker b = {.since_us = 0};
        explain_read_blocker(&b, r, i);
        if (b.holder.known &&
            (!known->holder.known || (explain_is_sweeper(known) && more_telling(&b, known))))
            *known = b;
    }
}

void explain_read_standby(struct explain_facts *f, const struct pg_result *r)
{
    if (pg_result_rows(r) != 1 || pg_result_columns(r) != 3)
        return;
    f->standby.pid = (int32_t)pg_result_int(r, 0, 0);
    f->standby.lasts_us = pg_result_int(r, 0, 1) * SECOND_US;
    copy(f->standby.names, sizeof(f->standby.names), r, 0, 2);
}

void explain_read_table_locks(struct explain_facts *f, const struct pg_result *r)
{
    struct explain_blocker *b = &f->table_blocker;
    if (pg_result_rows(r) == 0 || pg_result_columns(r) < 6)
        return;
    read_holder(b, r, 0, 0);
    copy(b->product, sizeof(b->product), r, 0, 4);
    snprintf(b->holder.what, sizeof(b->holder.what), "table");
    b->since_us = seconds_us(r, 0, 5, 0);
}

/* ---- what runs, beside a release and with it ---- */

void explain_read_feeds(struct explain_facts *f, const struct pg_result *r)
{
    if (pg_result_rows(r) == 1 && pg_result_columns(r) == 1 && pg_result_int(r, 0, 0) > 0)
        f->sweeper = EXPLAIN_YES;
}

void explain_read_guards(struct explain_facts *f, const struct pg_result *r)
{
    const struct queue *q = f->config->queue;
    const char *tables[] = {q->table.written, q->stock.table.written};
    for (int i = 0; i < pg_result_rows(r) && i < 2 && pg_result_columns(r) == 7; i++)
        for (int column = 3; column <= 4; column++)
            if (!pg_result_null(r, i, column))
                words_add(f->triggers, sizeof(f->triggers), "%s%s %s of table %s",
                          f->triggers[0] != '\0' ? ", " : "", column == 3 ? "trigger" : "rule",
                          pg_result_text(r, i, column), tables[i]);
}

/* ---- parameters ---- */

char *explain_array(const char *text)
{
    struct pg_array array = {0};
    pg_array_add(&array, text, strlen(text));
    return pg_array_finish(&array);
}

char *explain_names(const char *sql)
{
    struct pg_array array = {0};
    pg_array_add_names(&array, sql);
    return pg_array_finish(&array);
}

const char *explain_id_kind(enum id_kind kind)
{
    switch (kind) {
    case ID_UUID:
        return "of type uuid";
    case ID_INT2:
        return "whole numbers of type smallint";
    case ID_INT4:
        return "whole numbers of type integer";
    case ID_INT8:
        return "whole numbers of type bigint";
    default:
        return "texts of at most 255 bytes";
    }
}
