/* The plan of a batch: what is to be tried next, and what an answer of Postgres means for it.
 * Pure: nothing here sends, waits or reads a clock, so that a test can play Postgres. plan.c says
 * how it works. */
#ifndef RS_PLAN_H
#define RS_PLAN_H

#include "base/parse.h"
#include "release/release.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct breakers;
struct counter_waits;
struct locked;
struct plan;

struct plan_options { /* the pointers: shared by the batches of a process, outlive the plan */
    struct counter_waits *counter_waits;
    struct breakers *breakers;
    const struct locked *locked;
    int64_t lock_timeout_us;
    int64_t bulk_lock_timeout_us; /* the same for the bulk ways, which hold counters meanwhile */
    const bool *careful;          /* while it is true no way is bulk; NULL: as it comes */
};

/* What is known of the table, as the statements that there are were made for it. */
struct plan_table {
    bool ready;          /* there are statements; else the rest means nothing */
    uint64_t generation; /* of the statements */
    enum id_kind id_kind;
    bool bulk;    /* mapping_allows_bulk */
    bool backlog; /* mapping_allows_backlog */
    bool bytes;   /* its texts travel as bytes already */
    bool limited; /* no release of more than PLAN_CAREFUL_MOST: statements of the operator's follow,
                     or what is kept is looked for */
};

enum plan_action {
    PLAN_RELEASE,  /* release items[0..n): then plan_answer or plan_unsent */
    PLAN_PRODUCTS, /* ask which products items[0..n) are of: then plan_products */
    PLAN_PROOF,    /* ask anything of the table: then plan_proof or plan_unsent */
    PLAN_DONE,     /* every item has an outcome */
};

struct plan_step {
    enum plan_action action;
    struct item **items; /* good until the plan is told what became of the step */
    size_t n;
    enum release_way way;
    int64_t lock_timeout_us;
    bool watch; /* the only item is known to be locked, and whom it waits for is of interest. While
                   somebody looks, the whole of the options' lock_timeout_us serves better */
};

struct plan *plan_new(const struct plan_options *options); /* NULL: out of memory */
void plan_free(struct plan *p);                            /* NULL is legal */

/* Begins with items[0..n), which must stay in place until PLAN_DONE, and takes their outcomes away.
 * Either it is known of all of them where their rows lie, or of none.
 * backlog: there are more than these. Requires table->ready. Returns 0, or -1 when memory ran out:
 * then every item is OUTCOME_UNKNOWN, and plan_next gives PLAN_DONE. */
int plan_begin(struct plan *p, struct item *items, size_t n, bool backlog,
               const struct plan_table *table, int64_t mono_us) __attribute__((warn_unused_result));

/* What is to be done next; PLAN_DONE again and again once it is that. When the table has another
 * generation, what is undecided is arranged anew. */
void plan_next(struct plan *p, const struct plan_table *table, int64_t mono_us,
               struct plan_step *step);

/* The answer to PLAN_RELEASE; the items that were released (RELEASE_OK) have their outcomes.
 * Returns true when the texts of the table must travel as bytes (statements_use_bytes) before the
 * next step. */
bool plan_answer(struct plan *p, const struct release_result *result,
                 const struct plan_table *table, int64_t mono_us)
    __attribute__((warn_unused_result));

/* PLAN_RELEASE or PLAN_PROOF could not be sent. */
void plan_unsent(struct plan *p);

/* The answer to PLAN_PRODUCTS: the items have their products, as far as they are known (not at all
 * when nothing could be sent). */
void plan_products(struct plan *p, int64_t mono_us);

/* The answer to PLAN_PROOF. */
enum plan_proved {
    PLAN_PROVED,         /* the table is as the statements have it */
    PLAN_PROOF_OUTDATED, /* there are new statements, or were none */
    PLAN_PROOF_REFUSED,
    PLAN_PROOF_LOST, /* no answer */
};
/* After PLAN_PROOF: what came of it. plan_next says what follows. */
void plan_proof(struct plan *p, enum plan_proved proved);

/* After PLAN_DONE: the item whose error (sqlstate, error) says why Postgres cannot release at
 * present; NULL when it can, or when the reason is not one of a release. */
const struct item *plan_fault(const struct plan *p);

#endif
