/* The reader of a queues file: from its text to queues. What it cannot know, since it asks no
 * server, is proved against the catalog later. */
#ifndef RS_QUEUE_READ_H
#define RS_QUEUE_READ_H

#include "config/config_table.h"
#include "config/queue.h"
#include "config/queue_keys.h"
#include "config/queue_source.h"

/* A queue as it was read. */
struct queue_read {
    struct queue queue;                      /* the first: see config_queue_same */
    struct queue_text overrides[SETTINGS_N]; /* settings as the file says them; NULL: not there */
};

struct queue_list {
    struct queue_read *all[QUEUES_MAX]; /* in the file's order, owned */
    int n;
};

/* Reads a text, len bytes, into *list, which must be empty. file: how sentences call it, which the
 * queues borrow; NULL for what is built in. Returns 0, or -1 with one sentence; *list is to be
 * cleared in both cases. */
int queues_parse(struct queue_list *list, const char *file, const char *text, size_t len,
                 const struct config_error *error) __attribute__((warn_unused_result));
void queue_list_clear(struct queue_list *list);

/* Frees one queue; NULL is legal. */
void queue_read_free(struct queue_read *q);

#endif
