/* What statements say of the holds that counters count: those of a queue, and of others with which
 * it shares its counters. */
#include "store/counted.h"

#include "config/queue_stock.h"
#include "link/pg_link.h"
#include "store/mapping.h"
#include "store/mapping_keys.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_token(const char *token, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(text, token, len) == 0;
}

const struct queue *counted_queue(const struct queue *q, int i)
{
    return i == 0 ? q : q->stock.sharers[i - 1];
}

/* "AND a = b": of two names of tables whether they are the same's. */
static int put_same_table(FILE *out, const char *before, const struct queue_table *a,
                          const char *operator, const struct queue_table * b, struct pg_link *link)
{
    char *of_a = mapping_table_literal(a, link), *of_b = mapping_table_literal(b, link);
    int rc = of_a == NULL || of_b == NULL ||
                     fprintf(out, "%spg_catalog.to_regclass(%s) %s pg_catalog.to_regclass(%s)",
                             before, of_a, operator, of_b) < 0
                 ? -1
                 : 0;
    free(of_a);
    free(of_b);
    return rc;
}

/* Of a sum: where a name has no schema, that these are the same counters; and of holds that are in
 * one table with those of another queue, that they were not counted as that one's. */
static int put_once(FILE *out, const struct queue *q, const struct counted *c, struct pg_link *link)
{
    const struct queue *own = c->owner;
    int rc = 0;
    if (c->place > 0)
        rc = put_same_table(out, "\n   AND ", &q->stock.table, "=", &own->stock.table, link);
    for (int i = 0; i < c->place && rc == 0; i++) {
        const struct queue *former = counted_queue(own, i);
        if (!queue_tables_alike(&former->table, &q->table))
            continue;
        rc = put_same_table(out, "\n   AND (", &q->table, "IS DISTINCT FROM", &former->table, link);
        if (rc == 0)
            rc = fprintf(out, " OR (\n%s\n) IS NOT TRUE)", queue_counted(former)) < 0 ? -1 : 0;
    }
    return rc;
}

/* Whether row security may hide any of what is summed. */
static int put_hidden(FILE *out, const struct queue *q, struct pg_link *link)
{
    char *counters = mapping_table_literal(&q->stock.table, link);
    int rc = counters == NULL || fprintf(out, "(pg_catalog.row_security_active(%s)", counters) < 0
                 ? -1
                 : 0;
    free(counters);
    for (int i = 0; i <= q->stock.nsharers && rc == 0; i++) {
        char *holds = mapping_table_literal(&counted_queue(q, i)->table, link);
        rc = holds == NULL || fprintf(out, " OR pg_catalog.row_security_active(%s)", holds) < 0 ? -1
                                                                                                : 0;
        free(holds);
    }
    return rc != 0 || fputc(')', out) == EOF ? -1 : 0;
}

int counted_put(FILE *out, const struct mapping_types *types, const struct counted *c,
                const char *token, size_t len, struct pg_link *link)
{
    if (is_token(token, len, "sums"))
        return fputs(c->sums, out) < 0 ? -1 : 0;
    if (is_token(token, len, "once"))
        return put_once(out, types->queue, c, link);
    if (is_token(token, len, "hidden"))
        return put_hidden(out, types->queue, link);
    return 1;
}
