/* Sessions of sweepers that are cut off in the middle of a transaction: what sql/cut_off.sql has
 * found and ended, as the log has it. For blockers.c alone.
 *
 * libpq sends a large batch in pieces. Of a sweeper that is suspended between two of them, or whose
 * machine is out of reach then, Postgres has an open transaction that waits for the rest with the
 * locks of the release; no timeout of Postgres's before version 17 ends it, nor does TCP while the
 * peer's kernel answers. */
#ifndef RS_CUT_OFF_H
#define RS_CUT_OFF_H

#include "base/outage.h"
#include "base/time_units.h"

#include <stdint.h>

struct pg_result;

#define CUT_OFF_US (10 * SECOND_US) /* so long nothing that is at work is silent */

struct cut_off {
    int32_t pid;          /* has the releases' lock, and may not be ended; 0: none */
    int64_t since_us;     /* seen to have it */
    struct outage outage; /* zeroed: none has it for long */
};

/* What sql/cut_off.sql has answered, at this moment (monotonic): says in the log what was ended,
 * and who has the lock for long and may not be ended. */
void cut_off_note(struct cut_off *c, const struct pg_result *r, int64_t now_us);

/* Whether that is to be asked again though nothing new has waited in vain. */
bool cut_off_unknown(const struct cut_off *c);

#endif
