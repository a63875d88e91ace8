/* Of several queues that were asked for one id: which has it. Pure. */
#ifndef RS_EXPLAIN_FOUND_H
#define RS_EXPLAIN_FOUND_H

#include "app/explain_facts.h"

#include <stddef.h>

#define EXPLAIN_NAMES 512

/* How many of n queues have rows of it; *one: the last of them. names: those queues, with commas,
 * cut to fit; but for `without`, if that is not NULL. */
int explain_found(const struct explain_facts *const *facts, int n, const char *without, int *one,
                  char names[EXPLAIN_NAMES]);

/* "... is in several queues (a, b): say which" */
void explain_several(const char *id, const char *names, const char *how, char *out, size_t size);

#endif
