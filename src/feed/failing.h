/* What the log says of polls and passes that fail, and of the first that succeeds again. */
#ifndef RS_FAILING_H
#define RS_FAILING_H

#include "base/outage.h"

#include <stdbool.h>

/* One has failed: message and error, at a level and as often as outage.h has it, where unexplained;
 * at DEBUG where something else has said why. */
void failing_note(struct outage *failing, const char *message, const char *error, bool unexplained);

/* One has come to its end. */
void failing_over(struct outage *failing);

#endif
