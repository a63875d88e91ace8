/* Whether counters can be compared with the holds: pure. */
#ifndef RS_RECONCILE_COMPARABLE_H
#define RS_RECONCILE_COMPARABLE_H

struct config;

/* Why the counters of this queue are not compared, one sentence of static storage; NULL: they are,
 * or it has none. */
const char *comparable_why_not(const struct config *config);

#endif
