/* A batch, for what drives it (batch.c) and what judges the answers (batch_answer.c). */
#ifndef RS_BATCH_PRIVATE_H
#define RS_BATCH_PRIVATE_H

#include "batch.h"
#include "blames.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATIENT_PRODUCTS 4 /* counters waited for in one batch */

struct range {
    size_t first, n;
    int tries;
};

/* fresh -> probes -> patience: each stage hands ranges of `order` to release_send, one at a time.
 */
enum stage { STAGE_FRESH, STAGE_PROBES, STAGE_PATIENCE };

struct batch {
    struct batch_options options;
    struct timer *next; /* sends the next range on a later turn */
    bool running;
    LIST_ENTRY(batch) others; /* while running */
    int64_t deadline_us;      /* monotonic: of the step in hand */
    void (*done)(void *arg);
    void *arg;

    struct item **order; /* the valid ones: fresh first, then those refused before */
    size_t n, fresh, capacity;
    enum stage stage;
    bool hurry;
    int in_vain;             /* hurries that waited for a lock in vain, one after the other */
    int64_t polite_until_us; /* no hurry before */
    size_t probe;            /* next of order[] to try alone */
    int64_t probes_end_us;
    int patient;  /* counters waited for so far */
    bool works;   /* something was released: the statement is right */
    bool doubted; /* some have a preliminary OUTCOME_FAULT, with sqlstate and error */

    bool wonder, asked;     /* whose products these are: to be asked, has been */
    struct item *suspect;   /* refused before its products were known */
    enum blame_kind reason; /* why */

    struct range stack[64]; /* halving 5,000 needs 2 * log2(5,000) places at most */
    size_t depth;
    struct range current;
};

/* Puts a range on the stack: it is taken next. */
void batch_push(struct batch *b, size_t first, size_t n, int tries);

/* These get an outcome. */
void batch_mark(struct batch *b, size_t first, size_t n, enum outcome outcome);

/* Everything that has no outcome yet gets this one; nothing more is sent. */
void batch_give_up(struct batch *b, enum outcome outcome);

/* How the current range is released. */
enum release_way batch_way(const struct batch *b);

/* Takes the answer to the current range: outcomes for it, or what is to be tried next. */
void batch_answer(struct batch *b, const struct release_result *result);

/* Once no range is left, while some are in doubt. True when those are to be tried again, since the
 * statement is right: their fault is their own. */
bool batch_settle_doubt(struct batch *b);

#endif
