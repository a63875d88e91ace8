/* The last phase: the operator's own queries (`verify`), each row of which is a finding. */
#ifndef RS_RECONCILE_VERIFY_H
#define RS_RECONCILE_VERIFY_H

struct reconcile;

void verify_start(struct reconcile *r); /* run_next or run_fail follows */

#endif
