/* Whether counters can be compared with the holds. */
#include "reconcile/comparable.h"

#include "config/config.h"
#include "config/queue.h"

#include <stddef.h>

const char *comparable_why_not(const struct config *config)
{
    const struct queue_stock *stock = &config->queue->stock;
    if (stock->table.name == NULL)
        return NULL;
    if (stock->held.text == NULL)
        return "`free` alone does not say what is held: nothing can be compared with it";
    if (stock->free.text == NULL)
        return "`held` without `free` is not compared by this version";
    if (stock->nkeys > 1)
        return "counters with a key of several columns are not compared by this version";
    if (stock->counted.text != NULL)
        return "counters that count other holds than active ones are not compared by this version";
    if (stock->shared)
        return "counters of several queues are not compared by this version";
    return NULL;
}
