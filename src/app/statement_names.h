/* What each statement is for, in words, and its trial by EXPLAIN: for --check-config, --show-sql
 * and a new queues file. */
#ifndef RS_STATEMENT_NAMES_H
#define RS_STATEMENT_NAMES_H

#include "store/statements.h"

#include <stdbool.h>
#include <stddef.h>

/* "the release", "the feed's poll". */
const char *statement_name(enum statement which);

/* Whether nothing can be released without it: number `which`, as of statement_next. */
bool statement_is_needed(int which);

/* Whether it is ever sent, as the tables are. text: as statements_text has it. */
bool statement_is_used(enum statement which, const struct mapping_types *types, const char *text);

/* Moves *which on, from where it is, to a statement that is ever sent: those of `also` come behind
 * the others, from STATEMENT_COUNT, and behind these the queries of `verify`. Returns its text, as
 * statements_text; NULL: there is none. */
const char *statement_next(const struct statements *s, int *which);

/* Writes what such a statement is for. Returns the line of its queue, or its own in the file. */
int statement_place(const struct statements *s, int which, char *what, size_t size);

#define STATEMENT_PARAMS_MAX 16

/* What proves a text without running it, malloc'd, NULL: out of memory; and how many parameters it
 * has, all of which may be NULL. */
char *statement_explain(const char *text, int *nparams);

#endif
