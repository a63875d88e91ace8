/* What a pass has come to. */
#include "release/pass.h"
#include "release/release.h"

void pass_result_count(struct pass_result *r, const struct item *item)
{
    switch (item->outcome) {
    case OUTCOME_RELEASED:
        r->released++;
        units_add(&r->units, &item->units);
        break;
    case OUTCOME_FAILED:
        r->failed++;
        break;
    case OUTCOME_DEFERRED:
        r->deferred++;
        break;
    case OUTCOME_UNTRIED:
        r->not_yet++;
        break;
    case OUTCOME_KEPT:
        r->kept++;
        break;
    case OUTCOME_LOCKED:
        r->locked++;
        break;
    case OUTCOME_UNKNOWN: /* a lane's connection was lost, which the pass says */
    case OUTCOME_FAULT:   /* likewise */
    case OUTCOME_NONE:
    case OUTCOME_INACTIVE:
    case OUTCOME_MISSING:
    case OUTCOME_INVALID:
    case OUTCOME_NOT_DUE:
        break;
    }
}
