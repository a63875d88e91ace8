/* Calls that are one script or command with one answer. */
#ifndef RS_SINGLE_H
#define RS_SINGLE_H

#include "queue/call.h"
#include "queue/repair.h"

/* One script with one answer, which is read while the reply is there. */
struct due_single {
    struct due_op op;
    size_t n;                        /* ids that were asked for */
    const struct redis_reply *reply; /* inside the reply's callback */
    union {
        void (*scores)(void *arg, const int64_t *scores_ms, size_t n, const char *error);
        void (*indexes)(void *arg, const size_t *indexes, size_t n, const char *error);
        void (*lookup)(void *arg, const struct due_state *states, size_t n, const char *error);
        void (*repair)(void *arg, const bool *repaired, size_t n, const char *error);
        void (*scan)(void *arg, const char *cursor, const struct due_found *found, size_t n,
                     const char *error);
        void (*pending)(void *arg, const struct due_found *found, size_t n, const char *error);
        void (*add)(void *arg, const char *error);
        void (*mark)(void *arg, bool gone, const char *error);
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
