/* A batch, for what drives it (batch.c) and what judges the answers (batch_answer.c). */
#ifndef RS_BATCH_PRIVATE_H
#define RS_BATCH_PRIVATE_H

#include "base/callback.h"
#include "release/batch.h"
#include "release/breakers.h"
#include "release/conflicts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PATIENT_PRODUCTS 4 /* counters waited for in one batch */

/* How a range is tried. */
enum manner {
    MANNER_FRESH,  /* in a hurry, where there is a backlog */
    MANNER_POLITE, /* that failed, or is no way to try this */
    MANNER_SEARCH, /* politely, and without much of a wait: a lock was met inside */
};

struct range {
    size_t first, n;
    enum manner manner;
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
    event_cb *done;
    void *arg;

    struct item *items; /* all of them */
    size_t n_items;
    struct item **order; /* the undecided: fresh first, then those refused before (n of both), then
                            what cannot be an id of this table (all) */
    size_t n, fresh, all, capacity;
    size_t free; /* of the fresh ones, those not known to be locked inside: they come first */
    uint64_t generation; /* of the statements that it was arranged for */
    bool proved;         /* one of them was answered: the table is as they were made for */
    enum stage stage;
    bool hurry;
    int in_vain;             /* hurries that waited for a lock in vain, one after the other */
    int64_t polite_until_us; /* no hurry before */
    size_t probe;            /* next of order[] to try alone */
    int64_t probes_end_us;
    int patient;                           /* counters waited for so far */
    bool watched;                          /* whom the current range waits for is being looked at */
    struct conflicts first_met, known_met; /* locks met inside: by the free ones, by the others */
    bool outdated;                         /* the session may keep plans of a former table */
    bool works;                            /* something was released: the statement is right */
    bool doubted; /* some have a preliminary OUTCOME_FAULT, with sqlstate and error */

    bool wonder, asked;     /* whose products these are: to be asked, has been */
    struct item *suspect;   /* refused before its products were known */
    enum blame_kind reason; /* why */

    struct range stack[64]; /* halving 5,000 needs 2 * log2(5,000) places at most */
    size_t depth;
    struct range current;
};

/* Puts a range on the stack: it is taken next. */
void batch_push(struct batch *b, size_t first, size_t n, enum manner manner);

/* These get an outcome. */
void batch_mark(struct batch *b, size_t first, size_t n, enum outcome outcome);

/* Everything that has no outcome yet gets this one; nothing more is sent. */
void batch_give_up(struct batch *b, enum outcome outcome);

/* How the current range is released. */
enum release_way batch_way(const struct batch *b);

/* Takes the answer to the current range: outcomes for it, or what is to be tried next. */
void batch_answer(struct batch *b, const struct release_result *result);

/* Once all fresh ones have been tried: where nothing went through, all that failed on a lock are
 * locked. */
void batch_settle_conflicts(struct batch *b);

/* Once no range is left, while some are in doubt. True when those are to be tried again, since the
 * statement is right: their fault is their own. */
bool batch_settle_doubt(struct batch *b);

#endif
