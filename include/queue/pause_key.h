/* The due queue: what Redis has of a pause ({prefix}:paused), and of orders to pause and to resume
 * ({prefix}:order), and the mark ({prefix}:mark), which goes when its data does. What an order
 * means is release/pause_judge.h's to say. */
#ifndef RS_PAUSE_KEY_H
#define RS_PAUSE_KEY_H

#include "queue/repair.h"

/* As it stands there. Its texts end with the callback. */
struct due_pause {
    struct due_text record; /* no text: none; not trusted */
    struct due_text order;  /* the number of the last order; likewise */
};

typedef void due_pause_cb(void *arg, const struct due_pause *pause, const char *error);

/* Asks what is there. pause is NULL with an error. Returns 0, or -1 when Redis is down: cb will not
 * fire. */
int due_queue_paused(struct due_queue *q, due_pause_cb *cb, void *arg)
    __attribute__((warn_unused_result));

/* What a look brings that leaves the mark. */
struct due_mark {
    struct due_text text; /* of the mark as it was; no text: it was not there */
    struct due_pause pause;
};

typedef void due_mark_cb(void *arg, const struct due_mark *mark, const char *error);

/* Leaves {prefix}:mark, which names the database ("1" while its name is not known), unless one that
 * has a name is there; asks for the pause, too. Returns as due_queue_paused. */
int due_queue_mark(struct due_queue *q, const char *name, due_mark_cb *cb, void *arg)
    __attribute__((warn_unused_result));

struct due_order {
    const struct due_pause *seen; /* it is given only if that still stands there */
    const char *record;           /* NULL: to resume */
    int64_t for_ms;               /* how long the record is to stay; > 0 */
    int64_t number;
    int64_t kept_ms; /* how long the number is to stay; > 0 */
};

typedef void due_given_cb(void *arg, bool given, const char *error);

/* Gives an order. given: false when something else stood there. Returns as due_queue_paused; what
 * is given is copied before it returns. */
int due_queue_order(struct due_queue *q, const struct due_order *order, due_given_cb *cb, void *arg)
    __attribute__((warn_unused_result));

#endif
