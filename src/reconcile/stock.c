/* The stock counters against the holds that they count: each page of keys in one snapshot.
 *
 * Without --repair-stock, and in a dry run, one go over the pages reports what drifted. With it the
 * first go only counts, since very many that drifted mean that something else is wrong, and then
 * none is repaired; a second go repairs each by itself, in a transaction of its own: locked, then
 * summed by a statement of its own, whose snapshot sees all that was committed before the lock was
 * had. What a checkout has locked is tried again for ten seconds.
 *
 * What must hold: a counter that is right by the time of its lock was never a finding, so it counts
 * neither as drifted nor as repaired. */
#include "reconcile/stock.h"

#include "base/log.h"
#include "base/time_units.h"
#include "config/config.h"
#include "config/queue_stock.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "reconcile/drift.h"
#include "reconcile/report.h"
#include "reconcile/run.h"
#include "release/parts.h"
#include "store/ask.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE 20000
#define PAUSE_US (100 * MS_US) /* before a counter that a checkout holds is tried again */
#define TRIES 100              /* then it is left, and counts as not repaired */
#define DEADLINE_US (15 * SECOND_US)

#define SAID_MOST 10 /* counters that cannot be repaired: the log names so many */

struct stock {
    bool counting, repairing;    /* neither: report what drifted */
    int keys;                    /* columns of one */
    char *after[QUEUE_KEYS_MAX]; /* the last key of the page at hand; [0] NULL: of none yet */
    bool last;
    bool held_alone;
    bool hidden;          /* row security may hide rows from the page at hand */
    struct drift *drifts; /* of that page */
    size_t n, next;
    int tries, said;
    struct timer *again;
};

static void ask(struct reconcile *r);
static void step(struct reconcile *r);

static void clear_key(char *key[QUEUE_KEYS_MAX])
{
    for (int i = 0; i < QUEUE_KEYS_MAX; i++) {
        free(key[i]);
        key[i] = NULL;
    }
}

static void clear_page(struct stock *s)
{
    for (size_t i = 0; i < s->n; i++)
        drift_clear(&s->drifts[i]);
    free(s->drifts);
    s->drifts = NULL;
    s->n = s->next = 0;
}

/* ---- words ---- */

static struct amount read_amount(const struct pg_result *rows, int row, int column)
{
    return (struct amount){!pg_result_null(rows, row, column),
                           units_parse(pg_result_text(rows, row, column))};
}

static void report(struct reconcile *r, const struct drift *d, const char *done)
{
    if (!report_wanted(r))
        return;
    assert(d->product != NULL); /* a drift is noted with its product */
    const char *reason = drift_why_not(d, r->stock->hidden);
    report_finding(r, FINDING_STOCK, d->product, strlen(d->product), drift_expected(d, reason),
                   drift_found(d, reason), done);
}

static void say_why_not(struct stock *s, const struct drift *d, const char *reason)
{
    if (s->said++ < SAID_MOST)
        log_event(LOG_WARN, "A stock counter that drifted cannot be repaired", LOG_STR, "productId",
                  d->product, LOG_STR, "reason", reason, LOG_END);
}

/* ---- repairing ---- */

static void over_with(struct reconcile *r, const char *done)
{
    struct stock *s = r->stock;
    report(r, &s->drifts[s->next], done);
    s->next++;
    s->tries = 0;
}

/* The counters as they were under the lock, what they should be, and whether they are now. */
static void on_repaired(struct reconcile *r, const struct pg_answer *answer)
{
    struct stock *s = r->stock;
    struct drift *d = &s->drifts[s->next];
    const struct pg_result *before = answer->results[1], *after = answer->results[2];
    if (pg_result_rows(before) == 0 || pg_result_rows(after) == 0 ||
        pg_result_text(after, 0, 1)[0] == 't') { /* gone, or right by now */
        r->result.counts[COUNT_STOCK_DRIFTED]--;
        s->next++;
        s->tries = 0;
        return;
    }
    d->available = read_amount(before, 0, 0);
    d->reserved = read_amount(before, 0, 1);
    d->total = read_amount(before, 0, 2);
    d->sum = read_amount(after, 0, 0);
    if (pg_result_text(after, 0, 2)[0] == 't') {
        r->result.counts[COUNT_STOCK_REPAIRED]++;
        over_with(r, "repaired");
    } else {
        r->result.counts[COUNT_REMAINING]++;
        over_with(r, "nothing");
    }
}

static void on_repair(void *arg, const struct pg_answer *answer)
{
    struct reconcile *r = arg;
    struct stock *s = r->stock;
    if (run_ending(r)) {
        timer_after_us(r->turn, 0);
        return;
    }
    switch (drift_answer(answer->status == PG_DONE, answer->sqlstate)) {
    case DRIFT_DONE:
        on_repaired(r, answer);
        break;
    case DRIFT_LOCKED:
        if (++s->tries < TRIES) {
            timer_after_us(s->again, PAUSE_US);
            return;
        }
        r->result.counts[COUNT_REMAINING]++;
        over_with(r, "nothing");
        break;
    case DRIFT_REFUSED:
        r->result.counts[COUNT_REMAINING]++;
        over_with(r, "refused");
        break;
    case DRIFT_FAULT:
        run_fail(r, answer->message);
        return;
    }
    step(r);
}

static void leave(struct reconcile *r, const char *reason)
{
    say_why_not(r->stock, &r->stock->drifts[r->stock->next], reason);
    r->result.counts[COUNT_REMAINING]++;
    over_with(r, "nothing");
}

static void send_repair(struct reconcile *r)
{
    static const char settings[] =
        PG_SETTINGS_3(PG_SET("lock_timeout", "$1"), PG_SET("statement_timeout", "'10s'"),
                      PG_SET("random_page_cost", "'1.1'"));
    struct stock *s = r->stock;
    struct statements *statements = r->parts->statements;
    char timeout[32];
    int64_t lock_ms = r->parts->config->lock_timeout_us / MS_US;
    snprintf(timeout, sizeof(timeout), "%lldms", (long long)(lock_ms > 0 ? lock_ms : 1));
    const char *lock_params[] = {timeout};
    const char *const *key = (const char *const *)s->drifts[s->next].key;
    const struct ask_query queries[] = {
        {.sql = settings, .nparams = 1, .params = lock_params},
        {.statement = STATEMENT_STOCK_LOCK, .nparams = s->keys, .params = key},
        {.statement = STATEMENT_STOCK_REPAIR, .nparams = s->keys, .params = key},
    };
    const struct ask_options options = {.statements = statements,
                                        .clock = &r->parts->pg_clock,
                                        .link = r->link,
                                        .deadline_us = DEADLINE_US,
                                        .reads = true,
                                        .again = true};
    if (ask_send(&options, queries, 3, on_repair, r) != 0)
        run_fail(r, "the connection to Postgres was lost");
}

static void on_again(void *arg)
{
    step(arg);
}

/* ---- comparing ---- */

/* The columns of an answer (sql/stock.sql): these, the last key, a drift's, and what is of it. */
enum { PAGE_KEYS, PAGE_HIDDEN, PAGE_LAST };
enum { DRIFT_AVAILABLE, DRIFT_HELD, DRIFT_TOTAL, DRIFT_SUM, DRIFT_COUNTERS, DRIFT_SUMMED, DRIFT_N };

/* Reads a key from this column on. -1: out of memory. */
static int read_key(char *key[QUEUE_KEYS_MAX], int n, const struct pg_result *rows, int row,
                    int column)
{
    for (int i = 0; i < n; i++) {
        free(key[i]);
        key[i] = strdup(pg_result_text(rows, row, column + i));
        if (key[i] == NULL)
            return -1;
    }
    return 0;
}

static int read_drift(const struct stock *s, struct drift *d, const struct pg_result *rows, int row)
{
    int first = PAGE_LAST + s->keys, rest = first + s->keys;
    d->keys = s->keys;
    d->held_alone = s->held_alone;
    d->available = read_amount(rows, row, rest + DRIFT_AVAILABLE);
    d->reserved = read_amount(rows, row, rest + DRIFT_HELD);
    d->total = read_amount(rows, row, rest + DRIFT_TOTAL);
    d->sum = read_amount(rows, row, rest + DRIFT_SUM);
    d->counters = pg_result_int(rows, row, rest + DRIFT_COUNTERS);
    d->summed = pg_result_text(rows, row, rest + DRIFT_SUMMED)[0] == 't';
    return read_key(d->key, s->keys, rows, row, first) != 0 ? -1 : drift_name(d);
}

static int take_page(struct reconcile *r, const struct pg_result *rows)
{
    struct stock *s = r->stock;
    int n = pg_result_null(rows, 0, PAGE_LAST + s->keys) ? 0 : pg_result_rows(rows);
    int64_t checked = pg_result_int(rows, 0, PAGE_KEYS);
    s->last = checked < PAGE_SIZE;
    s->hidden = pg_result_text(rows, 0, PAGE_HIDDEN)[0] == 't';
    if (s->hidden && s->after[0] == NULL && !s->repairing)
        log_event(LOG_WARN, "Row security may hide rows from the comparison of stock counters",
                  LOG_END);
    r->done += checked;
    s->drifts = calloc((size_t)n + 1, sizeof(*s->drifts));
    if (s->drifts == NULL || read_key(s->after, s->keys, rows, 0, PAGE_LAST) != 0)
        return -1;
    r->result.counts[COUNT_STOCK_CHECKED] += checked;
    r->result.counts[COUNT_STOCK_DRIFTED] += n;
    for (int i = 0; i < n && !s->counting; i++)
        if (read_drift(s, &s->drifts[s->n++], rows, i) != 0)
            return -1;
    return 0;
}

static void on_page(struct reconcile *r, const struct pg_result *rows)
{
    if (pg_result_columns(rows) != PAGE_LAST + 2 * r->stock->keys + DRIFT_N ||
        pg_result_rows(rows) < 1)
        run_fail(r, "a page of stock counters gave an unexpected answer");
    else if (take_page(r, rows) != 0)
        run_fail(r, "out of memory");
    else
        step(r);
}

static void ask(struct reconcile *r)
{
    struct stock *s = r->stock;
    const char *params[QUEUE_KEYS_MAX + 1];
    char size[16];
    snprintf(size, sizeof(size), "%d", PAGE_SIZE);
    params[0] = size;
    for (int i = 0; i < s->keys; i++)
        params[1 + i] = s->after[i];
    clear_page(s);
    run_ask(r, STATEMENT_STOCK, s->keys + 1, params, on_page);
}

static void begin(struct reconcile *r)
{
    clear_key(r->stock->after);
    r->stock->last = false;
    r->result.counts[COUNT_STOCK_CHECKED] = r->result.counts[COUNT_STOCK_DRIFTED] = 0;
    r->done = 0;
    ask(r);
}

/* Counted: repair them, or say that they are too many. */
static void decide(struct reconcile *r)
{
    struct stock *s = r->stock;
    s->counting = false;
    if (r->result.counts[COUNT_STOCK_DRIFTED] == 0) {
        run_next(r);
        return;
    }
    s->repairing = r->result.counts[COUNT_STOCK_DRIFTED] <= r->options.max_repairs;
    if (!s->repairing) {
        log_event(LOG_WARN, "Too many stock counters drifted: none is repaired", LOG_INT,
                  "stockDrifted", r->result.counts[COUNT_STOCK_DRIFTED], LOG_INT, "maxRepairs",
                  r->options.max_repairs, LOG_END);
    }
    begin(r);
}

/* The next of the page's drifts, the next page, or the end. */
static void step(struct reconcile *r)
{
    struct stock *s = r->stock;
    if (run_ending(r))
        return;
    while (s->next < s->n && s->repairing) {
        if (!statements_ready(r->parts->statements)) {
            run_fail(r, "the statements have to be made anew");
            return;
        }
        const char *reason = drift_why_not(&s->drifts[s->next], s->hidden);
        if (reason == NULL) {
            send_repair(r);
            return;
        }
        leave(r, reason);
    }
    for (; s->next < s->n; s->next++) {
        report(r, &s->drifts[s->next], "nothing");
        r->result.counts[COUNT_REMAINING]++;
    }
    if (!s->last)
        ask(r);
    else if (s->counting)
        decide(r);
    else
        run_next(r);
}

/* Never as none that drifted. */
static void say_unchecked(struct reconcile *r)
{
    log_event(LOG_WARN, "Stock counters are not compared", LOG_STR, "reason",
              r->result.stock_unchecked, LOG_END);
    if (report_wanted(r))
        report_unchecked(r);
}

void stock_start(struct reconcile *r)
{
    const struct queue_stock *stock = &r->parts->config->queue->stock;
    r->result.stock_unchecked = queue_not_comparable(r->parts->config->queue);
    r->result.stock_elsewhere = r->options.stock_elsewhere;
    r->result.stock_uncounted =
        r->result.stock_unchecked != NULL || r->result.stock_elsewhere != NULL;
    if (r->result.stock_unchecked != NULL)
        say_unchecked(r);
    if (r->result.stock_uncounted || stock->table.name == NULL) {
        run_next(r);
        return;
    }
    r->stock->keys = stock->nkeys;
    r->stock->held_alone = stock->free.text == NULL;
    r->total = r->products;
    r->stock->counting = r->options.repair_stock && !r->options.dry_run;
    r->stock->said = 0;
    begin(r);
}

int stock_new(struct reconcile *r)
{
    r->stock = calloc(1, sizeof(*r->stock));
    if (r->stock == NULL)
        return -1;
    r->stock->again = timer_new(r->parts->loop, on_again, r);
    return r->stock->again != NULL ? 0 : -1;
}

void stock_free(struct stock *s)
{
    if (s == NULL)
        return;
    clear_page(s);
    clear_key(s->after);
    timer_free(s->again);
    free(s);
}
