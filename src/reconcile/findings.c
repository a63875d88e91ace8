/* The tables of findings and counters. */
#include "reconcile/findings.h"

#include "reconcile/reconcile.h"

#include <stddef.h>

const struct finding_row findings[FINDINGS] = {
    /* A row that is due and active still. Released by a pass, not by a repair. */
    [FINDING_EXPIRED] = {SUSPECT_NOBODY, "expired", NULL, "released", COUNT_RELEASED, false, false},
    /* An active row of which Redis has neither entry nor claim nor record. */
    [FINDING_MISSING] = {SUSPECT_MISSING, "mirrorMissing", "add", "added", COUNT_MISSING, true,
                         false},
    /* An entry later than its row is due. An earlier one is no finding: it is looked at, and put
     * back. */
    [FINDING_MISPLACED] = {SUSPECT_MISPLACED, "mirrorMisplaced", "move", "moved", COUNT_MISPLACED,
                           true, false},
    /* An entry without a row, or due for longer than a lease with a row that is not active. */
    [FINDING_STALE] = {SUSPECT_STALE, "mirrorOrphaned", "remove", "removed", COUNT_STALE, false,
                       false},
    /* A claim beyond its lease whose row is active: anybody may claim it again. */
    [FINDING_LEASE] = {SUSPECT_LEASE, "leaseExpired", "return", "returned", COUNT_LEASES, true,
                       false},
    /* ... whose row is not: nobody needs it. */
    [FINDING_LEASE_STALE] = {SUSPECT_LEASE, "leaseExpired", "unclaim", "removed", COUNT_LEASES,
                             false, false},
    /* What stands in leases and is no batch: a stranger's, which nobody could settle. The walk
     * itself removes it. */
    [FINDING_LEASE_ODD] = {SUSPECT_NOBODY, "leaseUnreadable", NULL, "removed", COUNT_STALE, false,
                           false},
    /* A record of what was refused, of a row that is not active any more. */
    [FINDING_RECORD_STALE] = {SUSPECT_RECORD, "recordOrphaned", "forget", "removed", COUNT_STALE,
                              false, false},
    /* ... of one that is, and has no entry: nobody would try it again. */
    [FINDING_RECORD_UNSCHEDULED] = {SUSPECT_RECORD, "recordUnscheduled", "retry", "scheduled",
                                    COUNT_MISSING, true, false},
    /* A counter that is not the sum of its product's active reservations. Only with
     * --repair-stock. */
    [FINDING_STOCK] = {SUSPECT_NOBODY, "stockDrifted", NULL, "repaired", COUNT_STOCK_DRIFTED, false,
                       true},
    /* A row of a query of the operator's. Reported only. */
    [FINDING_VERIFY] = {SUSPECT_NOBODY, "verify", NULL, "nothing", COUNT_VERIFY, false, false},
};

const struct reconcile_counter reconcile_counters[COUNTS] = {
    [COUNT_RELEASED] = {"releasedCount", METRIC_RECONCILE_RELEASED, 1, "expired, released",
                        "expired, still active"},
    [COUNT_REFUSED] = {"failedCount", METRICS_N, 0, NULL, NULL},
    [COUNT_SKIPPED] = {"skippedCount", METRICS_N, 0, NULL, NULL},
    [COUNT_MISSING] = {"mirrorMissing", METRIC_RECONCILE_MISSING, 2, "missing in Redis, added",
                       "missing in Redis"},
    [COUNT_MISPLACED] = {"mirrorMisplaced", METRIC_RECONCILE_MISPLACED, 3,
                         "too late in Redis, moved", "too late in Redis"},
    [COUNT_STALE] = {"mirrorOrphaned", METRIC_RECONCILE_ORPHANED, 4, "stale in Redis, removed",
                     "stale in Redis"},
    [COUNT_SPENT] = {"mirrorSpent", METRIC_RECONCILE_SPENT, 9, "spent entries, left to the sweeper",
                     NULL},
    [COUNT_LEASES] = {"leasesExpired", METRIC_RECONCILE_LEASES_EXPIRED, 5,
                      "leases that ended, returned", "leases that ended"},
    [COUNT_STOCK_CHECKED] = {"stockChecked", METRIC_RECONCILE_STOCK_CHECKED, 8,
                             "stock counters checked", NULL},
    [COUNT_STOCK_DRIFTED] = {"stockDrifted", METRIC_RECONCILE_STOCK_DRIFTED, 6,
                             "stock counters that drifted", NULL},
    [COUNT_STOCK_REPAIRED] = {"stockRepaired", METRIC_RECONCILE_STOCK_REPAIRED, 7,
                              "  of these repaired", NULL},
    [COUNT_VERIFY] = {"verifyFound", METRIC_RECONCILE_VERIFY, 10, "found by verify", NULL},
    [COUNT_REMAINING] = {"remainingCount", METRIC_RECONCILE_REMAINING, 11,
                         "inconsistencies that remain", NULL},
};

bool reconcile_counted(const struct reconcile_result *result, enum reconcile_count count)
{
    bool of_stock = count == COUNT_STOCK_CHECKED || count == COUNT_STOCK_DRIFTED ||
                    count == COUNT_STOCK_REPAIRED;
    return !of_stock || !result->stock_uncounted;
}
