/* SQL, piece by piece, as the scanner of Postgres takes it apart (standard_conforming_strings on).
 * Pure: whether the pieces make sense together is for Postgres to say. */
#ifndef RS_SQL_SCAN_H
#define RS_SQL_SCAN_H

#include <stdbool.h>
#include <stddef.h>

enum sql_kind {
    SQL_END,
    SQL_WORD,      /* a keyword, or a name without quotes */
    SQL_NAME,      /* "a name", with its quotes */
    SQL_LITERAL,   /* '...', E'...' with all that continues it, $tag$...$tag$ */
    SQL_NUMBER,    /* digits and points */
    SQL_PARAMETER, /* $1 */
    SQL_PLACE,     /* {word} */
    SQL_CHARACTER, /* any other: an operator's, a bracket, a comma */
    SQL_UNENDED,   /* a literal, a name or a comment that has no end: all that is left */
};

/* One piece; blanks and comments lie between them. */
struct sql_token {
    enum sql_kind kind;
    const char *at; /* in the text; not terminated */
    size_t len;
};

/* Takes the next piece off *text; at its end SQL_END, again and again. */
struct sql_token sql_scan(const char **text);

/* Whether it is this keyword, or name without quotes, whatever its case. */
bool sql_token_is(const struct sql_token *token, const char *word);

/* Whether it is this character. */
bool sql_token_is_char(const struct sql_token *token, char c);

#endif
