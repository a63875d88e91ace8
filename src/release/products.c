/* Which products reservations are of (sql/products.sql). */
#include "release/products.h"

#include "base/callback.h"
#include "link/pg_link.h"
#include "release/release.h"
#include "store/statements.h"

#include <argz.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct question {
    struct item **items;
    size_t n;
    event_cb *done;
    void *arg;
};

static void read_products(const struct question *q, const struct pg_result *r)
{
    if (pg_result_columns(r) != 2)
        return;
    for (int row = 0; row < pg_result_rows(r); row++) {
        int64_t n = pg_result_int(r, row, 0);
        if (n < 1 || (uint64_t)n > q->n)
            return;
        struct item *item = q->items[n - 1];
        /* Out of memory: its breaker opens later, or not. */
        (void)argz_add(&item->products, &item->products_len, pg_result_text(r, row, 1));
    }
}

static void on_answer(void *arg, const struct pg_answer *answer)
{
    struct question *q = arg;
    event_cb *done = q->done;
    void *done_arg = q->arg;
    if (answer->status == PG_DONE)
        read_products(q, answer->results[1]);
    free(q);
    done(done_arg);
}

int products_ask(struct pg_link *link, const struct release_options *options, struct item **items,
                 size_t n, event_cb *done, void *arg)
{
    struct question *q = malloc(sizeof(*q));
    if (q == NULL)
        return -1;
    *q = (struct question){items, n, done, arg};
    int rc = release_ask(link, options, STATEMENT_PRODUCTS, items, n, on_answer, q);
    if (rc != 0)
        free(q);
    return rc;
}

const char *products_text(const struct item *item, char *text, size_t size)
{
    static const char more[] = ",...";
    size_t used = 0;
    for (const char *p = NULL; (p = argz_next(item->products, item->products_len, p)) != NULL;) {
        size_t len = strlen(p);
        if (used + strlen(",") + len + sizeof(more) > size) {
            memcpy(text + used, used > 0 ? more : more + 1,
                   used > 0 ? sizeof(more) : sizeof(more) - 1);
            return text;
        }
        used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? "," : "", p);
    }
    return used > 0 ? text : NULL;
}
