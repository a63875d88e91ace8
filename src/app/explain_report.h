/* What --explain and GET /explain say. */
#ifndef RS_EXPLAIN_REPORT_H
#define RS_EXPLAIN_REPORT_H

#include "app/explain_facts.h"

#include <jansson.h>
#include <stdio.h>

/* All facts, with what is made of them; NULL: out of memory. The caller owns it. */
json_t *explain_json(const struct explain_facts *facts);

/* No queue has it: what each of n says. The same rules. */
json_t *explain_json_none(const struct explain_facts *const *facts, int n);

/* The same for people: one screen, closed by what happens next. */
void explain_print(const json_t *explanation, FILE *out);

#endif
