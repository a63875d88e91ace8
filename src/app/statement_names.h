/* What each statement is for, in words, and its trial by EXPLAIN: for --check-config, --show-sql
 * and a new queues file. */
#ifndef RS_STATEMENT_NAMES_H
#define RS_STATEMENT_NAMES_H

#include "store/statements.h"

#include <stdbool.h>

/* "the release", "the feed's poll". */
const char *statement_name(enum statement which);

/* Whether it is ever sent, as the tables are. text: as statements_text has it. */
bool statement_is_used(enum statement which, const struct mapping_types *types, const char *text);

#define STATEMENT_PARAMS_MAX 16

/* What proves a text without running it, malloc'd, NULL: out of memory; and how many parameters it
 * has, all of which may be NULL. */
char *statement_explain(const char *text, int *nparams);

#endif
