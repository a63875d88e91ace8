/* Why a reservation is not released (yet), what to do about it, and what happens next: pure. */
#ifndef RS_EXPLAIN_JUDGE_H
#define RS_EXPLAIN_JUDGE_H

#include "app/explain_facts.h"

/* What of --explain's answer a program may go by. */
enum explain_cause {
    CAUSE_MALFORMED,    /* no reservation of this queue can have such an id */
    CAUSE_POSTGRES,     /* Postgres could not be asked */
    CAUSE_TABLES,       /* ... its tables cannot be used as they are */
    CAUSE_TABLE_LOCKED, /* a whole table is locked */
    CAUSE_OTHER_QUEUE,  /* another queue has it */
    CAUSE_UNKNOWN,      /* there is no such row */
    CAUSE_INACTIVE,     /* bought, cancelled or released */
    CAUSE_ENDLESS,      /* it never expires */
    CAUSE_KEPT,         /* keep_while */
    CAUSE_ATTENTION,    /* ... for longer than at_most */
    CAUSE_EXTENDED,     /* not due yet; Redis has an earlier time */
    CAUSE_NOT_DUE,
    CAUSE_PAUSED,
    CAUSE_FIRST_RUN,  /* the first-run limit */
    CAUSE_STANDBY,    /* a release waits at its COMMIT for a synchronous standby */
    CAUSE_LOCKED,     /* a row or counter */
    CAUSE_REFUSED,    /* by Postgres */
    CAUSE_COUNTER,    /* it would be, for its counter */
    CAUSE_FAILS,      /* Postgres cannot release it at present */
    CAUSE_CLAIMED,    /* somebody is at it */
    CAUSE_NO_SWEEPER, /* nobody seems to run */
    CAUSE_DIRECT,     /* Redis is away */
    CAUSE_WAITING,    /* it has its turn in a moment */
    CAUSE_LOST,       /* nothing leads to it */
    CAUSES_N
};

struct explanation {
    enum explain_cause cause;
    char why[2048];  /* one sentence or two; may hold texts of the servers */
    char todo[1024]; /* what an operator can do; "": there is nothing to be done */
    char next[1024]; /* one sentence: what happens next, and when */
};

/* Fills *e. The facts alone decide: no clock is read, nobody is asked. */
void explain_judge(const struct explain_facts *f, struct explanation *e);

/* How a cause is called in JSON: "notDue". */
const char *explain_cause_name(enum explain_cause cause);

#endif
