/* The values of a queue's keys, one reader for each kind. */
#ifndef RS_QUEUE_VALUES_H
#define RS_QUEUE_VALUES_H

#include "config/queue_keys.h"
#include "config/queue_read.h"
#include "config/queue_source.h"

/* A queue on its way. */
struct queue_reader {
    struct queue_source source;
    struct queue_read *to;
};

/* Sets a queue's duration by a text. Returns 0, or -1 with a sentence. */
int queue_duration_set(struct queue_read *to, const struct queue_key_row *row, const char *text,
                       const struct config_error *error) __attribute__((warn_unused_result));

/* Reads the value of a key, which begins with `item`, to its end. The key is no group. Returns 0,
 * or -1 with a sentence. */
int queue_value_read(struct queue_reader *r, const struct queue_key_row *row,
                     const struct queue_item *item) __attribute__((warn_unused_result));

#endif
