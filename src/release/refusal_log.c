/* The records that are about single reservations. */
#include "release/refusal_log.h"

#include "base/clock.h"
#include "base/json_text.h"
#include "base/log.h"
#include "link/loop.h"
#include "release/products.h"
#include "release/release.h"
#include "release/tally.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define PRODUCTS_NAMED 20 /* in a summary */
#define PRODUCTS_TEXT 1024

enum kind { REFUSED, PRODUCT, UNCOUNTED, KINDS };

struct refusal_log {
    struct tally tallies[KINDS];
    struct timer *minute; /* armed: a tally is due */
};

/* What the summary of each kind says, and how loud. */
static const struct {
    enum log_level level;
    const char *message;
} summaries[KINDS] = {
    [REFUSED] = {LOG_ERROR, "More releases were refused than the log names in a minute"},
    [PRODUCT] = {LOG_WARN, "More products are refused than the log names in a minute"},
    [UNCOUNTED] = {LOG_WARN, "More was released without an inventory row than the log names in a "
                             "minute"},
};

static json_t *sqlstates_of(const struct tally *t)
{
    json_t *o = json_object();
    for (size_t i = 0; i < TALLY_SQLSTATES && t->sqlstates[i].name[0] != '\0'; i++)
        (void)json_object_set_new(o, t->sqlstates[i].name,
                                  json_integer((json_int_t)t->sqlstates[i].count));
    return o;
}

/* Those with the most; *others: the rest. */
static json_t *products_of(const struct tally *t, uint64_t *others)
{
    json_t *list = json_array();
    *others = t->other_products;
    for (size_t i = 0; i < TALLY_PRODUCTS && t->products[i].name != NULL; i++) {
        if (i < PRODUCTS_NAMED)
            (void)json_array_append_new(list, json_pack("{s:o, s:I}", "productId",
                                                        json_text(t->products[i].name), "count",
                                                        (json_int_t)t->products[i].count));
        else
            *others += t->products[i].count;
    }
    return list;
}

static void tell(struct tally *t, enum kind kind)
{
    if (t->count == 0)
        return;
    tally_sort(t);
    uint64_t others = 0;
    json_t *products = products_of(t, &others);
    json_t *sqlstates = sqlstates_of(t);
    log_event(summaries[kind].level, summaries[kind].message, LOG_INT, "unnamedCount",
              (int64_t)t->count, LOG_JSON, "sqlstates", sqlstates, LOG_JSON, "products", products,
              LOG_INT, "otherProducts", (int64_t)others, LOG_END);
    json_decref(products);
    json_decref(sqlstates);
    tally_clear(t);
}

static int64_t next_due_us(const struct refusal_log *l)
{
    int64_t due_us = INT64_MAX;
    for (enum kind kind = REFUSED; kind < KINDS; kind++)
        if (tally_due_us(&l->tallies[kind]) < due_us)
            due_us = tally_due_us(&l->tallies[kind]);
    return due_us;
}

static void on_minute(void *arg)
{
    struct refusal_log *l = arg;
    int64_t now_us = clock_mono_us();
    for (enum kind kind = REFUSED; kind < KINDS; kind++)
        if (tally_due_us(&l->tallies[kind]) <= now_us)
            tell(&l->tallies[kind], kind);
    if (next_due_us(l) != INT64_MAX)
        timer_at_us(l->minute, next_due_us(l));
}

struct refusal_log *refusal_log_new(struct loop *loop)
{
    struct refusal_log *l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->minute = timer_new(loop, on_minute, l);
    if (l->minute == NULL) {
        free(l);
        return NULL;
    }
    return l;
}

void refusal_log_free(struct refusal_log *l)
{
    if (l == NULL)
        return;
    for (enum kind kind = REFUSED; kind < KINDS; kind++)
        tally_clear(&l->tallies[kind]);
    timer_free(l->minute);
    free(l);
}

/* Whether there is to be a record; else there will be a summary. */
static bool may_say(struct refusal_log *l, enum kind kind, const char *sqlstate,
                    const char *products, size_t products_len)
{
    int64_t now_us = clock_mono_us();
    /* The timer may be late: a new minute does not begin with the sums of the last one. */
    if (tally_due_us(&l->tallies[kind]) <= now_us)
        tell(&l->tallies[kind], kind);
    if (tally_add(&l->tallies[kind], sqlstate, products, products_len, now_us))
        return true;
    if (!timer_armed(l->minute))
        timer_at_us(l->minute, next_due_us(l));
    return false;
}

void refusal_log_failed(struct refusal_log *l, const struct item *item)
{
    char products[PRODUCTS_TEXT];
    if (!may_say(l, REFUSED, item->sqlstate, item->products, item->products_len))
        return;
    log_event(LOG_ERROR, "Postgres refused to release a reservation", LOG_STR, "reservationId",
              item->id, LOG_STR, "productId", products_text(item, products, sizeof(products)),
              LOG_STR, "sqlstate", item->sqlstate, LOG_STR, "error", item->error, LOG_INT,
              "attempts", (int64_t)item_attempts(item), LOG_END);
}

void refusal_log_deferred(struct refusal_log *l, const struct item *item)
{
    char products[PRODUCTS_TEXT];
    if (!may_say(l, REFUSED, item->sqlstate, item->products, item->products_len))
        return;
    log_event(LOG_WARN, "A reservation waits with its product, which Postgres refuses", LOG_STR,
              "reservationId", item->id, LOG_STR, "productId",
              products_text(item, products, sizeof(products)), LOG_STR, "sqlstate", item->sqlstate,
              LOG_STR, "error", item->error, LOG_END);
}

void refusal_log_product(struct refusal_log *l, const char *product, const char *sqlstate,
                         const char *error)
{
    if (!may_say(l, PRODUCT, sqlstate, product, strlen(product) + 1))
        return;
    log_event(LOG_WARN, "Postgres refuses all of a product; its other reservations wait", LOG_STR,
              "productId", product, LOG_STR, "sqlstate", sqlstate, LOG_STR, "error", error,
              LOG_END);
}

void refusal_log_uncounted(struct refusal_log *l, const struct item *item)
{
    const char *product = log_told(item->counter);
    if (!may_say(l, UNCOUNTED, "", product, product != NULL ? strlen(product) + 1 : 0))
        return;
    log_event(LOG_WARN, "Released a reservation of a product that has no inventory row", LOG_STR,
              "reservationId", item->id, LOG_STR, "productId", product, LOG_INT, "rows",
              (int64_t)item->uncounted, LOG_END);
}

void refusal_log_flush(struct refusal_log *l)
{
    for (enum kind kind = REFUSED; kind < KINDS; kind++)
        tell(&l->tallies[kind], kind);
}
