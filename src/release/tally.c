/* The first hundred of a minute, and what the rest consists of. */
#include "release/tally.h"

#include "base/time_units.h"

#include <argz.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 100

/* Where it is counted, or is to be. */
static size_t find_sqlstate(const struct tally *t, const char *sqlstate)
{
    for (size_t i = 0; i < TALLY_SQLSTATES - 1; i++)
        if (t->sqlstates[i].name[0] == '\0' || strcmp(t->sqlstates[i].name, sqlstate) == 0)
            return i;
    return TALLY_SQLSTATES - 1;
}

static void count_sqlstate(struct tally *t, const char *sqlstate)
{
    size_t i = find_sqlstate(t, sqlstate);
    snprintf(t->sqlstates[i].name, sizeof(t->sqlstates[i].name), "%s",
             i < TALLY_SQLSTATES - 1 ? sqlstate : "other");
    t->sqlstates[i].count++;
}

static void count_product(struct tally *t, const char *product)
{
    size_t i = 0;
    while (i < TALLY_PRODUCTS && t->products[i].name != NULL &&
           strncmp(t->products[i].name, product, TALLY_PRODUCT_MAX) != 0)
        i++;
    if (i < TALLY_PRODUCTS && t->products[i].name == NULL)
        t->products[i].name = strndup(product, TALLY_PRODUCT_MAX);
    if (i < TALLY_PRODUCTS && t->products[i].name != NULL)
        t->products[i].count++;
    else
        t->other_products++;
}

bool tally_add(struct tally *t, const char *sqlstate, const char *products, size_t products_len,
               int64_t mono_us)
{
    if (t->minute_us == 0 || mono_us - t->minute_us >= MINUTE_US) {
        t->minute_us = mono_us;
        t->said = 0;
    }
    if (t->said < MOST) {
        t->said++;
        return true;
    }
    t->count++;
    if (sqlstate[0] != '\0')
        count_sqlstate(t, sqlstate);
    for (const char *p = NULL; (p = argz_next(products, products_len, p)) != NULL;)
        count_product(t, p);
    return false;
}

int64_t tally_due_us(const struct tally *t)
{
    return t->count > 0 ? t->minute_us + MINUTE_US : INT64_MAX;
}

/* A few, and rarely. */
void tally_sort(struct tally *t)
{
    for (size_t i = 1; i < TALLY_PRODUCTS; i++) {
        for (size_t j = i; j > 0 && t->products[j].count > t->products[j - 1].count; j--) {
            char *name = t->products[j].name;
            uint64_t count = t->products[j].count;
            t->products[j] = t->products[j - 1];
            t->products[j - 1].name = name;
            t->products[j - 1].count = count;
        }
    }
}

void tally_clear(struct tally *t)
{
    for (size_t i = 0; i < TALLY_PRODUCTS; i++) {
        free(t->products[i].name);
        t->products[i].name = NULL;
        t->products[i].count = 0;
    }
    memset(t->sqlstates, 0, sizeof(t->sqlstates));
    t->other_products = 0;
    t->count = 0;
}
