/* When backlog mode is entered and left. Pure: nothing here reads a clock; times are monotonic, in
 * microseconds.
 *
 * Once a claim is full and many more are due, what is due is released straight from Postgres, by
 * one sweeper at a time: the one that has the role. The others rest meanwhile, and look now and
 * then whether it is still at it. */
#ifndef RS_BACKLOG_PLAN_H
#define RS_BACKLOG_PLAN_H

#include "base/time_units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKLOG_MIN 10000 /* due beside a full claim: fewer are not worth the change */
/* Until somebody else has it when its holder dies. It is renewed by a holder that gets on. */
#define BACKLOG_TTL_US (5 * SECOND_US)
#define BACKLOG_RENEW_US SECOND_US
#define BACKLOG_REST_US (500 * MS_US) /* at most, until those that have not the role look again */
/* After a pass that did not do much: what is locked or refused is due in Postgres still, and
 * entries of what was released before, which only claims remove, are many in Redis. */
#define BACKLOG_AGAIN_US (10 * SECOND_US)
#define BACKLOG_WORTH 1000 /* released by a pass: with fewer it has not done much */

enum backlog_state {
    BACKLOG_OFF,     /* what is due is claimed */
    BACKLOG_ASKING,  /* Redis has been asked for the role */
    BACKLOG_RESTING, /* another sweeper has it */
    BACKLOG_ON,      /* a pass is being made */
    BACKLOG_ENDING,  /* the role is being given up */
};

struct backlog_plan {
    enum backlog_state state;
    int64_t not_before_us; /* it is not entered before */
    int64_t rest_end_us;   /* RESTING: until then */
    int64_t renewed_us;    /* ON: when the role was asked for last */
};

/* A claim was answered; full: it brought as many as it asked for, and due_left more are due. True:
 * the role is to be asked for. */
bool backlog_plan_claimed(struct backlog_plan *p, bool full, size_t due_left, int64_t now_us);

/* The answer to that: whether the role is ours, else how long somebody has it. ok: there was one.
 * Also the answer to a renewal. True: a pass begins, or goes on. */
bool backlog_plan_role(struct backlog_plan *p, bool ok, bool ours, int64_t remaining_us,
                       int64_t now_us);

/* Whether claims may be made; *wake_us: when to ask again, INT64_MAX: after the next event. */
bool backlog_plan_may_claim(struct backlog_plan *p, int64_t now_us, int64_t *wake_us);

/* Whether the role is to be renewed: something has come of the pass since, last at heard_us. The
 * role is being asked for then. */
bool backlog_plan_renews(struct backlog_plan *p, int64_t heard_us, int64_t now_us);

/* The pass is over. ok: it came to its end; released, left: how many it released, and how many it
 * met and could not. */
void backlog_plan_passed(struct backlog_plan *p, bool ok, uint64_t released, uint64_t left,
                         int64_t now_us);

/* The role has been given up, or is left to its end. */
void backlog_plan_over(struct backlog_plan *p);

#endif
