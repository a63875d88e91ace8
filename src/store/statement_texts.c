/* The texts of all statements of a queue, made from sql/ and from the operator's own. */
#include "store/statement_texts.h"

#include "config/queue_stock.h"
#include "store/also.h"
#include "store/sql_texts.h"
#include "store/verify.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    unsigned form;
} sources[STATEMENT_COUNT] = {
    [STATEMENT_KEEP_LOCK] = {sql_keep_lock, 0},
    [STATEMENT_RELEASE_LEAN] = {sql_release, MAPPING_LEAN},
    [STATEMENT_RELEASE_CAREFUL] = {sql_release, MAPPING_RELEASE},
    [STATEMENT_RELEASE_WAITING] = {sql_release, MAPPING_RELEASE | MAPPING_WAITING},
    [STATEMENT_RELEASE_BULK] = {sql_release_bulk, 0},
    [STATEMENT_RELEASE_BACKLOG] = {sql_release_backlog, 0},
    [STATEMENT_RELEASE_CHECK] = {sql_release_check, MAPPING_RELEASE},
    [STATEMENT_CALL] = {sql_call, 0},
    [STATEMENT_PRODUCTS] = {sql_products, 0},
    [STATEMENT_DUE_ROWS] = {sql_due_rows, 0},
    [STATEMENT_DUE_ROWS_NEXT] = {sql_due_rows, MAPPING_NEXT_PAGE},
    [STATEMENT_DUE_COUNT] = {sql_due_count, 0},
    [STATEMENT_DUE_FIRST] = {sql_due_first, 0},
    [STATEMENT_ODD_ROWS] = {sql_odd_rows, 0},
    [STATEMENT_LATE_ROWS] = {sql_late_rows, 0},
    [STATEMENT_BEGIN] = {sql_begin, 0},
    [STATEMENT_ACTIVE_ROWS] = {sql_active_rows, 0},
    [STATEMENT_TIED_ROWS] = {sql_tied_rows, 0},
    [STATEMENT_LOOKUP] = {sql_lookup, 0},
    [STATEMENT_STOCK] = {sql_stock, 0},
    [STATEMENT_STOCK_LOCK] = {sql_stock_lock, 0},
    [STATEMENT_STOCK_REPAIR] = {sql_stock_repair, MAPPING_ONE_KEY},
    [STATEMENT_BLOCKERS] = {sql_blockers, 0},
    [STATEMENT_EXPLAIN_HOLDS] = {sql_explain_holds, 0},
    [STATEMENT_EXPLAIN_COUNTERS] = {sql_explain_counters, 0},
    [STATEMENT_EXPLAIN_SUMS] = {sql_explain_sums, 0},
};

const char *statements_source(enum statement which)
{
    assert(which < STATEMENT_COUNT);
    return sources[which].text;
}

/* Some are made for one shape of queue alone. */
static bool is_of_use(const struct mapping_types *types, enum statement which)
{
    switch (which) {
    case STATEMENT_RELEASE_LEAN:
        return mapping_allows_lean(types);
    case STATEMENT_RELEASE_BULK:
        return mapping_allows_bulk(types);
    case STATEMENT_RELEASE_BACKLOG:
        return mapping_allows_backlog(types);
    case STATEMENT_KEEP_LOCK:
        return types->queue->keep.condition.text != NULL;
    case STATEMENT_CALL:
        return types->queue->call.name != NULL;
    case STATEMENT_EXPLAIN_COUNTERS:
        return types->queue->stock.nkeys > 0;
    case STATEMENT_STOCK:
    case STATEMENT_STOCK_LOCK:
    case STATEMENT_STOCK_REPAIR:
    case STATEMENT_EXPLAIN_SUMS:
        return types->queue->stock.nkeys > 0 && queue_not_comparable(types->queue) == NULL;
    default:
        return true;
    }
}

int statement_texts_make(struct statement_texts *t, const struct mapping_types *types,
                         struct pg_link *link)
{
    const struct queue *q = types->queue;
    bool whole = true;
    for (int i = 0; i < STATEMENT_COUNT && whole; i++) {
        t->own[i] = is_of_use(types, (enum statement)i)
                        ? mapping_render(sources[i].text, types, sources[i].form, link)
                        : strdup("");
        whole = t->own[i] != NULL;
    }
    for (int i = 0; i < q->nalso && whole; i++) {
        t->also[i] = also_render(types, i, link);
        whole = t->also[i] != NULL;
    }
    for (int i = 0; i < q->nverify && whole; i++) {
        t->verify[i] = verify_render(q, i);
        whole = t->verify[i] != NULL;
    }
    return whole ? 0 : -1;
}

static void drop(char **texts, int n)
{
    for (int i = 0; i < n; i++) {
        free(texts[i]);
        texts[i] = NULL;
    }
}

void statement_texts_clear(struct statement_texts *t)
{
    drop(t->own, STATEMENT_COUNT);
    drop(t->also, QUEUE_LIST_MAX);
    drop(t->verify, QUEUE_LIST_MAX);
}
