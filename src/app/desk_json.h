/* Pieces of what the desk answers, as JSON, and as lines for people. */
#ifndef RS_DESK_JSON_H
#define RS_DESK_JSON_H

#include "app/explain_facts.h"

#include <jansson.h>
#include <stdio.h>

/* "2025-11-14T01:00:00.000Z"; null for 0, and for EXPLAIN_NEVER. */
json_t *desk_time(int64_t us);
json_t *desk_time_ms(int64_t ms);

/* A text; null for "" and NULL. */
json_t *desk_text(const char *text);

/* A number of Postgres's, by its text: as a number where it is a whole one, else as the text. */
json_t *desk_number(const char *text);

/* Names as in the log: blockerPid or blockerGid, blockerUser, blockerApplication, blockerSince,
 * lockOn. Nothing for nobody. */
void desk_set_blocker(json_t *o, const struct explain_blocker *b);

/* A record of :failed: sqlstate, error, attempts, firstFailedAt, lastFailedAt, retryAt. */
void desk_set_failure(json_t *o, const struct failed_record *record);

/* JSON of one line, which the caller frees; NULL: out of memory. Takes o, which may be NULL. */
char *desk_dump(json_t *o);

/* "label       text", in lines of 80 columns, fewer on a terminal that has fewer; what Postgres or
 * Redis sent cannot move the cursor. Nothing for an empty text. */
void desk_print(FILE *out, const char *label, const char *text);

/* A member that is a text; "" where it is none. */
const char *desk_string(const json_t *o, const char *name);

#endif
