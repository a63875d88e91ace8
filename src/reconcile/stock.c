/* The stock counters against the reservations: each page of products in one snapshot. With
 * --repair-stock they are counted first, since many that drifted mean something else is wrong; then
 * each is repaired under its lock, in a transaction of its own. */
#include "base/log.h"
#include "base/time_units.h"
#include "base/units.h"
#include "config/config.h"
#include "link/loop.h"
#include "link/pg_link.h"
#include "reconcile/reconcile_private.h"
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

struct amount {
    bool known; /* else NULL in Postgres */
    struct units units;
};

struct drift {
    char *product;
    struct amount total, available, reserved, held;
    int64_t counters; /* rows that the product has */
    bool summed;      /* held is the sum of its reservations */
};

struct stock {
    bool counting, repairing; /* neither: report what drifted */
    char *after;              /* the last product of the page at hand */
    bool last;
    struct drift *drifts; /* of that page */
    size_t n, next;
    int tries, said;
    struct timer *again;
};

static void ask(struct reconcile *r);
static void step(struct reconcile *r);

static void clear_page(struct stock *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->drifts[i].product);
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

static json_t *amount_json(const struct amount *a)
{
    if (!a->known)
        return json_null();
    return a->units.nano == 0 ? json_integer(a->units.whole) : json_real(units_real(&a->units));
}

static json_t *counters(const struct drift *d, const struct amount *available,
                        const struct amount *reserved)
{
    json_t *o = json_object();
    if (d->total.known)
        json_object_set_new(o, "totalStock", amount_json(&d->total));
    json_object_set_new(o, "availableStock", amount_json(available));
    json_object_set_new(o, "reservedStock", amount_json(reserved));
    return o;
}

/* What the counters should be: all that there is, less what is held. */
static struct amount expected_available(const struct drift *d)
{
    struct amount left = d->total.known ? d->total : d->available;
    const struct units held = units_negated(&d->held.units);
    if (!d->total.known)
        units_add(&left.units, &d->reserved.units);
    units_add(&left.units, &held);
    left.known = left.known && d->summed;
    return left;
}

/* Row security of one of the tables is in force for this role. */
static bool hidden(const struct reconcile *r)
{
    const struct statements *statements = r->parts->statements;
    return statements_ready(statements) && (statements_types(statements)->rows_hidden ||
                                            statements_types(statements)->counters_hidden);
}

/* Why nobody can say what the counter should be, or NULL. */
static const char *why_not(const struct reconcile *r, const struct drift *d)
{
    if (hidden(r))
        return "row security is in force for this role, and may hide reservations or counters";
    if (d->counters > 1)
        return "the product has more than one row";
    if (!d->summed)
        return "the quantity of an active reservation is NULL or no number";
    return NULL;
}

static void report(struct reconcile *r, const struct drift *d, const char *done)
{
    if (!report_wanted(r))
        return;
    assert(d->product != NULL); /* a drift is noted with its product */
    const struct amount available = expected_available(d);
    const struct amount held = {d->summed, d->held.units};
    const char *reason = why_not(r, d);
    json_t *found = counters(d, &d->available, &d->reserved);
    if (d->counters > 1)
        json_object_set_new(found, "counterRows", json_integer(d->counters));
    if (reason != NULL)
        json_object_set_new(found, "notRepairable", json_string(reason));
    report_finding(r, "stockDrifted", true, d->product, strlen(d->product),
                   reason == NULL ? counters(d, &available, &held) : NULL, found, done);
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
        r->result.stock_drifted--;
        s->next++;
        s->tries = 0;
        return;
    }
    d->available = read_amount(before, 0, 0);
    d->reserved = read_amount(before, 0, 1);
    d->total = read_amount(before, 0, 2);
    d->held = read_amount(after, 0, 0);
    if (pg_result_text(after, 0, 2)[0] == 't') {
        r->result.stock_repaired++;
        over_with(r, "repaired");
    } else {
        r->result.remaining++;
        over_with(r, "nothing");
    }
}

static void on_repair(void *arg, const struct pg_answer *answer)
{
    struct reconcile *r = arg;
    struct stock *s = r->stock;
    bool locked = strcmp(answer->sqlstate, "55P03") == 0 || strncmp(answer->sqlstate, "40", 2) == 0;
    if (run_ending(r)) {
        timer_after_us(r->turn, 0);
        return;
    }
    if (answer->status == PG_DONE) {
        on_repaired(r, answer);
    } else if (locked && ++s->tries < TRIES) {
        timer_after_us(s->again, PAUSE_US);
        return;
    } else if (locked) {
        r->result.remaining++;
        over_with(r, "nothing");
    } else if (strncmp(answer->sqlstate, "22", 2) == 0 || strncmp(answer->sqlstate, "23", 2) == 0) {
        /* It was not set to what was sent, or a check of the owner's forbids it. */
        r->result.remaining++;
        over_with(r, "refused");
    } else { /* a server's fault, or no answer: then the state is "" */
        run_fail(r, answer->message);
        return;
    }
    step(r);
}

static void leave(struct reconcile *r, const char *reason)
{
    say_why_not(r->stock, &r->stock->drifts[r->stock->next], reason);
    r->result.remaining++;
    over_with(r, "nothing");
}

static void send_repair(struct reconcile *r)
{
    static const char settings[] =
        PG_SETTINGS_4(PG_SET("lock_timeout", "$1"), PG_SET("statement_timeout", "'10s'"),
                      PG_SET("jit", "'off'"), PG_SET("random_page_cost", "'1.1'"));
    struct stock *s = r->stock;
    struct statements *statements = r->parts->statements;
    char timeout[32];
    int64_t lock_ms = r->parts->config->lock_timeout_us / MS_US;
    snprintf(timeout, sizeof(timeout), "%lldms", (long long)(lock_ms > 0 ? lock_ms : 1));
    const char *lock_params[] = {timeout};
    const char *params[] = {s->drifts[s->next].product};
    const struct ask_query queries[] = {
        {.sql = settings, .nparams = 1, .params = lock_params},
        {.statement = STATEMENT_STOCK_LOCK, .nparams = 1, .params = params},
        {.statement = STATEMENT_STOCK_REPAIR, .nparams = 1, .params = params},
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

static int read_drift(struct drift *d, const struct pg_result *rows, int row)
{
    d->product = strdup(pg_result_text(rows, row, 2));
    d->available = read_amount(rows, row, 3);
    d->reserved = read_amount(rows, row, 4);
    d->total = read_amount(rows, row, 5);
    d->held = read_amount(rows, row, 6);
    d->counters = pg_result_int(rows, row, 7);
    d->summed = pg_result_text(rows, row, 8)[0] == 't';
    return d->product != NULL ? 0 : -1;
}

static int take_page(struct reconcile *r, const struct pg_result *rows)
{
    struct stock *s = r->stock;
    int n = pg_result_null(rows, 0, 2) ? 0 : pg_result_rows(rows);
    int64_t products = pg_result_int(rows, 0, 0);
    s->last = products < PAGE_SIZE;
    r->done += products;
    free(s->after);
    s->after = strdup(pg_result_text(rows, 0, 1));
    s->drifts = calloc((size_t)n + 1, sizeof(*s->drifts));
    if (s->after == NULL || s->drifts == NULL)
        return -1;
    r->result.stock_checked += products;
    r->result.stock_drifted += n;
    for (int i = 0; i < n && !s->counting; i++)
        if (read_drift(&s->drifts[s->n++], rows, i) != 0)
            return -1;
    return 0;
}

static void on_page(struct reconcile *r, const struct pg_result *rows)
{
    if (pg_result_columns(rows) != 9 || pg_result_rows(rows) < 1)
        run_fail(r, "a page of stock counters gave an unexpected answer");
    else if (take_page(r, rows) != 0)
        run_fail(r, "out of memory");
    else
        step(r);
}

static void ask(struct reconcile *r)
{
    char size[16];
    snprintf(size, sizeof(size), "%d", PAGE_SIZE);
    const char *params[] = {r->stock->after, size};
    clear_page(r->stock);
    run_ask(r, STATEMENT_STOCK, 2, params, on_page);
}

static void begin(struct reconcile *r)
{
    free(r->stock->after);
    r->stock->after = NULL;
    r->stock->last = false;
    r->result.stock_checked = r->result.stock_drifted = 0;
    r->done = 0;
    ask(r);
}

/* Counted: repair them, or say that they are too many. */
static void decide(struct reconcile *r)
{
    struct stock *s = r->stock;
    s->counting = false;
    if (r->result.stock_drifted == 0) {
        run_next(r);
        return;
    }
    s->repairing = r->result.stock_drifted <= r->options.max_repairs;
    if (!s->repairing) {
        log_event(LOG_WARN, "Too many stock counters drifted: none is repaired", LOG_INT,
                  "stockDrifted", r->result.stock_drifted, LOG_INT, "maxRepairs",
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
        const char *reason = why_not(r, &s->drifts[s->next]);
        if (reason == NULL) {
            send_repair(r);
            return;
        }
        leave(r, reason);
    }
    for (; s->next < s->n; s->next++) {
        report(r, &s->drifts[s->next], "nothing");
        r->result.remaining++;
    }
    if (!s->last)
        ask(r);
    else if (s->counting)
        decide(r);
    else
        run_next(r);
}

void stock_start(struct reconcile *r)
{
    r->total = r->products;
    r->stock->counting = r->options.repair_stock && !r->options.dry_run;
    r->stock->said = 0;
    if (hidden(
            r)) /* whoever sees all of them finds nothing amiss: they are compared all the same */
        log_event(LOG_WARN, "Row security may hide rows from the comparison of stock counters",
                  LOG_END);
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
    free(s->after);
    timer_free(s->again);
    free(s);
}
