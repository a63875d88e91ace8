/* What becomes in Redis of a reservation whose outcome is known. */
#ifndef RS_SETTLEMENT_H
#define RS_SETTLEMENT_H

#include <stdint.h>

struct due_settlement;
struct item;
struct stats;

/* Until the next try after a fault of the server: no hammering. */
#define SETTLEMENT_FAULT_MS 1000

/* The settlement of one claimed item; counts it in stats when it is put back. For a refused one
 * item->attempts rises and its record is made, which the settlement refers to. A locked one has
 * been noted (locked.h). now_ms is Postgres's time. */
void settlement_of(struct stats *stats, struct item *item, struct due_settlement *to,
                   int64_t now_ms);

#endif
