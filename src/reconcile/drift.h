/* A stock counter that drifted: what it should be, whether it can be repaired, and what an
 * attempt's answer means. Pure, with its tests in tests/unit/test_drift.c. */
#ifndef RS_RECONCILE_DRIFT_H
#define RS_RECONCILE_DRIFT_H

#include "base/units.h"
#include "config/queue.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct amount {
    bool known; /* else NULL in Postgres */
    struct units units;
};

struct drift {
    char *key[QUEUE_KEYS_MAX]; /* the texts of its columns, in the file's order; owned */
    int keys;
    char *product;                            /* all of it, with commas; owned */
    bool held_alone;                          /* the counter does not say what is free */
    struct amount total, available, reserved; /* as the counter has them */
    struct amount sum;                        /* of the holds that it counts */
    int64_t counters;                         /* that the key has */
    bool summed;                              /* each of the holds has a quantity */
};

/* Makes `product`, of the key. Returns 0, or -1: out of memory. */
int drift_name(struct drift *d) __attribute__((warn_unused_result));
void drift_clear(struct drift *d);

/* What should be available: all that there is, less the sum. All is the total, and without one what
 * available and reserved make together, since a repair must not invent stock. */
struct amount drift_available(const struct drift *d);

/* Why nobody can say what the counter should be, or NULL. hidden: row security is in force. */
const char *drift_why_not(const struct drift *d, bool hidden);

/* The report's `expected` and `found`; the caller owns them. reason: of drift_why_not, then
 * `expected` is NULL. */
json_t *drift_expected(const struct drift *d, const char *reason);
json_t *drift_found(const struct drift *d, const char *reason);

/* The answer to an attempt to repair. */
enum drift_answer {
    DRIFT_DONE,    /* read what it brought */
    DRIFT_LOCKED,  /* a checkout was there: try again */
    DRIFT_REFUSED, /* it was not set to what was sent, or a check of the owner's forbids it */
    DRIFT_FAULT,   /* the server's, or no answer: the run fails */
};

/* done: the transaction was committed; sqlstate: else its code, "" without an answer. */
enum drift_answer drift_answer(bool done, const char *sqlstate);

#endif
