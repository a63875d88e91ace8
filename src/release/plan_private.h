/* A plan, for the three files that make it up: plan.c (what is tried next), plan_answer.c (what an
 * answer means) and plan_order.c (the order of the items, and what is still to be tried of it). */
#ifndef RS_PLAN_PRIVATE_H
#define RS_PLAN_PRIVATE_H

#include "release/breakers.h"
#include "release/conflicts.h"
#include "release/plan.h"

/* A careful release holds its counters from beginning to end. Checkouts that want one of them wait
 * for as long: 2 ms for a hundred, 10 for 500. */
#define PLAN_CAREFUL_MOST 100

/* Where an item stands in the order. */
enum group {
    GROUP_FREE,    /* nothing is known against it */
    GROUP_LOCKED,  /* its release alone met a lock inside when last tried (locked.h) */
    GROUP_REFUSED, /* refused before */
    GROUP_INVALID, /* cannot be an id of the table */
    GROUPS,
};

/* What is being done; each stage begins when the one before has nothing left to try. */
enum stage {
    STAGE_TOGETHER, /* the free and the locked ones, in as few transactions as may be */
    STAGE_SINGLES,  /* those that were refused before, each alone, for 50 ms */
    STAGE_COUNTERS, /* what a held counter keeps: the counters that were passed by for long are
                       waited for, one at a time, four at most */
    STAGE_PROOF,    /* whether the invalid ones are: one question */
    STAGE_DONE,
};

/* Items of the order that are to be tried in one transaction. */
struct range {
    size_t first, n;
    enum release_way way;
    bool search; /* a lock was met inside, and has been waited for: not much of a wait */
};

struct plan {
    struct plan_options options;

    struct item *items; /* all of them */
    size_t n_items;
    struct item **order; /* the undecided, by group */
    size_t capacity;
    size_t end[GROUPS]; /* where each group ends in the order, and the next begins */

    enum stage stage;
    bool wants_bulk;        /* there is a backlog */
    bool placed;            /* it is known where their rows lie */
    bool limited;           /* no transaction has more than PLAN_CAREFUL_MOST, whatever its way */
    enum release_way first; /* how the free ones are tried first */
    uint64_t generation;    /* of the statements that it was arranged for */
    struct range stack[64]; /* what is to be tried, the last one next: halving 20,000 needs 2 *
                               log2(20,000) places at most, and some stand alone */
    size_t depth;
    struct range current;            /* what is being tried */
    struct conflicts met, known_met; /* locks met inside: by all others, by the locked ones */
    size_t single;                   /* of the refused ones: the next to be tried */
    int64_t singles_end_us;          /* monotonic */
    int counters;                    /* waited for so far */

    bool proved;              /* a statement was answered: the table is as they were made for */
    bool works;               /* something was released: the statement is right */
    bool doubted;             /* some have a preliminary OUTCOME_FAULT, with sqlstate and error */
    const struct item *fault; /* see plan_fault */

    bool curious, asked;      /* whose products these are: to be asked, has been */
    struct item *suspect;     /* refused before its products were known */
    enum refusal_cause cause; /* ... why */

    /* Of one batch after the other. */
    int bulk_in_vain;         /* bulk releases that waited for a lock in vain, in a row */
    int64_t bulk_rest_end_us; /* monotonic: no bulk release before */
};

/* ---- plan_order.c ---- */

/* Puts the undecided items in order and begins with them. order has room for all items. */
void plan_arrange(struct plan *p, const struct plan_table *table, int64_t mono_us);

/* Puts a range on the stack: it is tried next. */
void plan_push(struct plan *p, struct range range);

/* Puts both halves of the current range, of more than one, on the stack. */
void plan_halve(struct plan *p, enum release_way way, bool search);

/* Whether a release that way takes the rows first and decides only what it releases. */
bool plan_is_bulk(enum release_way way);

/* The items of a range get an outcome. */
void plan_mark(struct plan *p, struct range range, enum outcome outcome);

/* Everything that has no outcome yet gets this one, and nothing more is tried. */
void plan_give_up(struct plan *p, enum outcome outcome);

/* Whether the current range is one of those that are known to be locked inside. */
bool plan_at_known(const struct plan *p);

#endif
