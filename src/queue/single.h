/* Calls that are one script or command with one answer. */
#ifndef RS_SINGLE_H
#define RS_SINGLE_H

#include "queue/call.h"
#include "queue/pause_key.h"
#include "queue/records.h"
#include "queue/repair.h"

/* One script with one answer, which is read while the reply is there. */
struct due_single {
    struct due_op op;
    size_t n;                        /* ids that were asked for */
    const struct redis_reply *reply; /* inside the reply's callback */
    union {
        due_scores_cb *scores;
        due_indexes_cb *indexes;
        due_states_cb *lookup;
        due_repaired_cb *repair;
        due_walked_cb *scan;
        due_found_cb *pending;
        due_error_cb *add;
        due_mark_cb *mark;
        due_accepted_cb *accepted;
        due_pause_cb *paused;
        due_given_cb *given;
        due_retried_cb *retried;
        due_count_cb *count;
    } cb;
    void *arg;
};

/* A call about n ids. NULL: out of memory. */
struct due_single *due_single_new(void (*finish)(struct due_op *op, const char *error), size_t n,
                                  void *arg);

/* Sends it and clears args; returns what the call returns. Plain: a command of Redis's own, all of
 * its words are in args. */
int due_single_send(struct due_queue *q, struct due_single *op, const struct lua_script *script,
                    struct due_args *args);
int due_single_send_plain(struct due_queue *q, struct due_single *op, struct due_args *args);

/* It cannot be sent: -1. */
int due_single_drop(struct due_single *op);

/* A reply's string, borrowed; no text when it is none. */
struct due_text due_text_of(const struct redis_reply *r);

#endif
