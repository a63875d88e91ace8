/* What each statement is for, in words: for --check-config and --show-sql. */
#ifndef RS_STATEMENT_NAMES_H
#define RS_STATEMENT_NAMES_H

#include "store/statements.h"

#include <stdbool.h>

/* "the release", "the feed's poll". */
const char *statement_name(enum statement which);

/* Whether it is ever sent, as the tables are. text: as statements_text has it. */
bool statement_is_used(enum statement which, const struct mapping_types *types, const char *text);

#endif
