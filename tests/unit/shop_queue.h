/* The queue that is built in, for tests that do not read it. */
#ifndef RS_SHOP_QUEUE_H
#define RS_SHOP_QUEUE_H

#include "config/queue.h"

#define SHOP_TEXT(t)                                                                               \
    {                                                                                              \
        .text = (char[])                                                                           \
        {                                                                                          \
            t                                                                                      \
        }                                                                                          \
    }

static struct queue shop_queue = {
    .name = (char[]){"reservations"},
    .table = {.name = (char[]){"inventory_reservations"},
              .written = (char[]){"inventory_reservations"}},
    .id = SHOP_TEXT("id"),
    .expires_at = SHOP_TEXT("expires_at"),
    .quantity = SHOP_TEXT("quantity"),
    .time_zone = SHOP_TEXT("UTC"),
    .active = SHOP_TEXT("status = 'active'"),
    .released = SHOP_TEXT("status = 'released', updated_at = now()"),
    .stock = {.table = {.name = (char[]){"inventory"}, .written = (char[]){"inventory"}},
              .keys = {{SHOP_TEXT("product_id"), SHOP_TEXT("product_id")}},
              .nkeys = 1,
              .free = SHOP_TEXT("available_stock"),
              .held = SHOP_TEXT("reserved_stock"),
              .total = SHOP_TEXT("total_stock"),
              .set = SHOP_TEXT("updated_at = now()")},
};

#endif
