/* What decided reservations mean for this process: counters and histograms (stats.h), what the log
 * says of single ones, what is locked, and whether Postgres works. */
#ifndef RS_ACCOUNT_H
#define RS_ACCOUNT_H

#include "base/few.h"

#include <stddef.h>
#include <stdint.h>

struct item;
struct parts;

/* Written by account.c alone. */
struct account {
    /* Monotonic: since when Postgres has released nothing, by its own fault (a grant that was
     * taken away, a full disk); 0: it works. Its reservations are put back a little ahead, where
     * nothing else tells them from those that are locked. */
    int64_t fault_since_us;
    struct few invalid_said; /* entries that are no ids */
    struct few odd_said;     /* ids that are no UTF-8 */
};

/* Counts the items of a batch that has come to its end, once: released, units, lateness, discarded,
 * refused; logs what an operator must see of them (a refused reservation, a product without a
 * counter); notes which are locked (item->due_us, see locked.h). What becomes of them next is for
 * others to say and to count. now_us: Postgres's time when the answer came. */
void account_decided(struct parts *parts, struct item *items, size_t n, int64_t now_us);

/* What met a fault of Postgres's is not there any more: it was bought, or cancelled. */
void account_nothing_left(struct parts *parts);

#endif
