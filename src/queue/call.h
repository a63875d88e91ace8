/* Calls of the due queue: what a call is made of, and how it goes to Redis and comes back. Each
 * kind of call has a file of its own: claim.c (claims, sizes), settle.c (settlements), entries.c
 * (entries mirrored and dropped), role.c, probe.c; and those of one answer, by single.h: repair.c,
 * walk.c.
 *
 * A call is an op, sent as one or more scripts. What must hold: its caller is called back exactly
 * once, unless the function that makes the call returned -1, after the last script's answer or when
 * the queue is freed, whichever comes first; the op itself lives until the link has answered every
 * script, since the link holds a pointer to it. */
#ifndef RS_CALL_H
#define RS_CALL_H

#include "base/int_text.h"
#include "link/redis_link.h"
#include "queue/due_queue.h"

#include <sys/queue.h>

/* One call of the queue's, which may be several scripts: embedded first in each kind's own struct.
 * It lives until the link has answered every script, even when the queue is freed before. */
struct due_op {
    TAILQ_ENTRY(due_op) entry;
    struct due_queue *queue;         /* NULL once its caller has been called back */
    int outstanding;                 /* scripts without an answer */
    const struct lua_script *script; /* sent last; NULL: a command */
    const char *command;             /* that command, a literal */
    char error[256];                 /* the first one; "" without */
    bool refused;                    /* ... is Redis's own, and it stays connected */
    int64_t sent_us;                 /* monotonic: the last request of it */
    /* Calls the caller back, once. error is NULL when every script answered as it should. */
    void (*finish)(struct due_op *op, const char *error);
    void (*destroy)(struct due_op *op);
};

enum { KEY_PENDING, KEY_LEASES, KEY_INFLIGHT, KEY_FAILED, KEY_KEPT, KEY_ATTENTION, KEY_COUNT };

/* ... and their names, without the prefix. */
extern const char *const due_queue_keys[KEY_COUNT];

struct due_queue {
    struct redis_link *link; /* NULL while the queue is freed */
    char *prefix;            /* with its braces and the colon: "{reservations}:" */
    char *keys[KEY_COUNT];
    TAILQ_HEAD(, due_op) ops;
    void (*on_refused)(void *arg, const char *reason);
    void *refused_arg;
    void (*on_answered)(void *arg, int64_t us);
    void *answered_arg;
};

/* {prefix}:name, malloc'd; NULL: out of memory. */
char *due_queue_key(const struct due_queue *q, const char *name);

#define DUE_UNEXPECTED "unexpected reply"

/* The keys and arguments of a script. Strings are borrowed, numbers are kept here. All of it is one
 * block of memory, which begins with the values. */
struct due_args {
    const char **values;
    size_t *lengths;
    char (*numbers)[INT_TEXT];
    size_t n, n_keys, n_numbers, room;
};

/* Room for `room` arguments after the queue's keys, or for `room` of anything when q is NULL.
 * Returns 0, or -1 with nothing to clear. */
int due_args_begin(struct due_args *args, const struct due_queue *q, size_t room)
    __attribute__((warn_unused_result));

/* Adds one; no more than there is room for. A text is borrowed until the call is sent. */
void due_args_add(struct due_args *args, const char *text, size_t len);
void due_args_add_word(struct due_args *args, const char *word);
void due_args_add_int(struct due_args *args, int64_t number);

/* After due_args_begin has returned 0. */
void due_args_clear(struct due_args *args);

/* A new op of `size` bytes, zeroed, whose destroy is free(). NULL when memory ran out. */
struct due_op *due_op_new(size_t size, void (*finish)(struct due_op *op, const char *error));

/* Sends one script for the op; cb gets the op. False when nothing was sent. */
bool due_op_send(struct due_queue *q, struct due_op *op, const struct lua_script *script,
                 const struct due_args *args, redis_link_cb *cb);

/* The same for a command of Redis's own: all of its words are in args, and the first is a literal.
 */
bool due_op_send_plain(struct due_queue *q, struct due_op *op, const struct due_args *args,
                       redis_link_cb *cb);

/* After the first scripts: enters the op and returns 0, or destroys it and returns -1 when none of
 * them was sent. */
int due_op_begin(struct due_queue *q, struct due_op *op) __attribute__((warn_unused_result));

/* Notes what is wrong with an answer; true when there is one to read. */
bool due_op_answered(struct due_op *op, const struct redis_reply *reply, const char *error);

/* The same for an answer that is a count, 0 or more, which it returns; 0 when there is none. */
size_t due_op_count(struct due_op *op, const struct redis_reply *reply, const char *error);

/* Notes the sweeper's own error, or DUE_UNEXPECTED, which counts as Redis's. Only the first counts.
 */
void due_op_fail(struct due_op *op, const char *error);

/* Calls the caller back, at once, with this error. */
void due_op_finish(struct due_op *op, const char *error);

/* Ends the handling of one answer; after the last one the op is gone. */
void due_op_done(struct due_op *op);

#endif
