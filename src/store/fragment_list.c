/* The pieces of the operator's SQL of a queue, each with its line. */
#include "config/queue_stock.h"
#include "config/queues.h"
#include "store/fragment.h"

#include <stddef.h>

static int add(struct fragment *list, int n, const struct queue *queue, enum fragment_wrap wrap,
               const struct queue_text *text, const char *key)
{
    if (text->text == NULL)
        return n;
    list[n] = (struct fragment){
        .queue = queue, .wrap = wrap, .text = text, .key = key, .line = text->line};
    return n + 1;
}

static int add_condition(struct fragment *list, int n, const struct queue *queue,
                         const struct queue_text *text, const char *key)
{
    n = add(list, n, queue, FRAGMENT_ELEMENT, text, key);
    return add(list, n, queue, FRAGMENT_CONDITION, text, key);
}

/* Of a queue that shares the counters only which holds they count. */
static int add_sharer(struct fragment *list, int n, const struct queue *sharer)
{
    if (sharer->stock.counted.text != NULL)
        return add_condition(list, n, sharer, &sharer->stock.counted, "stock.counted");
    return add_condition(list, n, sharer, &sharer->active, "active");
}

int fragment_list(const struct queue *q, struct fragment list[FRAGMENTS_MAX])
{
    int n = 0;
    if (q->file == NULL)
        return 0;
    n = add_condition(list, n, q, &q->active, "active");
    n = add(list, n, q, FRAGMENT_RELEASED, &q->released, "released");
    n = add(list, n, q, FRAGMENT_STOCK_SET, &q->stock.set, "stock.set");
    n = add_condition(list, n, q, &q->stock.counted, "stock.counted");
    n = add_condition(list, n, q, &q->keep.condition, "keep_while");
    for (int i = 0; i < q->stock.nsharers && queue_not_comparable(q) == NULL; i++)
        n = add_sharer(list, n, q->stock.sharers[i]);
    if (q->call.name != NULL)
        list[n++] = (struct fragment){
            .queue = q, .wrap = FRAGMENT_CALL, .key = "call", .line = q->call.line};
    for (int i = 0; i < q->nalso; i++) {
        n = add(list, n, q, FRAGMENT_ALSO, &q->also[i], "also");
        list[n - 1].number = i + 1;
    }
    for (int i = 0; i < q->nverify; i++) {
        n = add(list, n, q, FRAGMENT_QUERY, &q->verify[i], "verify");
        n = add(list, n, q, FRAGMENT_VERIFY, &q->verify[i], "verify");
        list[n - 2].number = list[n - 1].number = i + 1;
    }
    return n;
}
