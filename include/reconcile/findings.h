/* What a reconciliation finds and counts: the one place that lists it. A new kind of finding is a
 * row of `findings` (and of `reconcile_counters`, if it is counted by itself), a case in
 * src/reconcile/judge.c, and, if Redis is to be repaired for it, a word in lua/repair.lua. The
 * report, the closing record, the closing table and the metrics read the tables. */
#ifndef RS_FINDINGS_H
#define RS_FINDINGS_H

#include "base/metric_table.h"

#include <stdbool.h>

/* What a first look at a reservation may leave behind, until a second one. */
enum suspicion {
    SUSPECT_MISSING,   /* active, and Redis has nothing of it */
    SUSPECT_MISPLACED, /* its entry is later than its row is due */
    SUSPECT_STALE,     /* an entry that leads to no active reservation */
    SUSPECT_LEASE,     /* a lease that has ended */
    SUSPECT_RECORD,    /* a record in failed */
    SUSPICIONS
};

/* What a second look confirms. */
enum finding {
    FINDING_EXPIRED,
    FINDING_MISSING,
    FINDING_MISPLACED,
    FINDING_STALE,
    FINDING_LEASE,
    FINDING_LEASE_STALE,
    FINDING_LEASE_ODD,
    FINDING_RECORD_STALE,
    FINDING_RECORD_UNSCHEDULED,
    FINDING_STOCK,
    FINDING_VERIFY,
    FINDINGS
};

/* The figures of a run. */
enum reconcile_count {
    COUNT_RELEASED,
    COUNT_REFUSED,
    COUNT_SKIPPED,
    COUNT_MISSING,
    COUNT_MISPLACED,
    COUNT_STALE,
    COUNT_SPENT,
    COUNT_LEASES,
    COUNT_STOCK_CHECKED,
    COUNT_STOCK_DRIFTED,
    COUNT_STOCK_REPAIRED,
    COUNT_VERIFY,
    COUNT_REMAINING,
    COUNTS
};

#define SUSPECT_NOBODY SUSPICIONS /* found without a second look */

struct finding_row {
    enum suspicion suspicion; /* that it comes from */
    const char *kind;         /* the report's word for it */
    const char *repair; /* lua/repair.lua's word for what is done about it; NULL: not Redis's */
    const char *done;   /* the report's word for that */
    enum reconcile_count count;
    bool has_time;   /* after the repair there is an entry, at a time that the report says */
    bool of_product; /* its id is a product's */
};

/* By enum finding. */
extern const struct finding_row findings[FINDINGS];

struct reconcile_counter {
    const char *field;     /* in the record `Reconciliation completed` */
    enum metric_id metric; /* METRICS_N: none */
    int line;              /* in the closing table, from 1; 0: none */
    const char *words;     /* there */
    const char *dry_words; /* there, in a dry run; NULL: the same */
};

/* By enum reconcile_count, in the order of the closing record and of /metrics. */
extern const struct reconcile_counter reconcile_counters[COUNTS];

#define RECONCILE_LINES 11 /* of the closing table */

#endif
