/* The lexical rules of SQL, as Postgres has them (its manual, "Lexical Structure").
 *
 * What must hold: nothing that Postgres takes for SQL is taken for a literal or a comment here, nor
 * the other way round; else a piece of SQL could end what it stands in. So, where versions differ,
 * it goes by the one that sees more SQL: after a number a word begins ("1e'..'"), which newer ones
 * refuse. */
#include "base/sql_scan.h"

#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool begins_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

/* Up to the line's end. */
static const char *past_line_comment(const char *p)
{
    return p + strcspn(p, "\n\r");
}

/* Comments lie within comments. NULL: it has no end. */
static const char *past_block_comment(const char *p)
{
    size_t depth = 0;
    do {
        bool begins = p[0] == '/' && p[1] == '*';
        bool ends = p[0] == '*' && p[1] == '/';
        if (*p == '\0')
            return NULL;
        depth += begins;
        depth -= ends;
        p += begins || ends ? 2 : 1;
    } while (depth > 0);
    return p;
}

/* Behind a quoted piece, in which the quote itself stands twice; with escapes a backslash takes the
 * character behind it along. NULL: it has no end. */
static const char *past_quoted(const char *p, bool escapes)
{
    const char quote = *p++;
    for (;;) {
        bool escaped = escapes && p[0] == '\\' && p[1] != '\0';
        if (escaped || (p[0] == quote && p[1] == quote))
            p += 2;
        else if (p[0] == quote)
            return p + 1;
        else if (*p == '\0')
            return NULL;
        else
            p++;
    }
}

/* Where a literal goes on behind its end, by the same rules: at a quote on a later line, with
 * nothing but blanks and line comments between. NULL: it does not. */
static const char *continuation(const char *p)
{
    bool later = false;
    while (is_blank(*p) || strncmp(p, "--", 2) == 0) {
        later = later || *p == '\n' || *p == '\r';
        p = *p == '-' ? past_line_comment(p) : p + 1;
    }
    return later && *p == '\'' ? p : NULL;
}

static const char *past_literal(const char *p, bool escapes)
{
    const char *end = p;
    while (p != NULL) {
        end = past_quoted(p, escapes);
        p = end != NULL ? continuation(end) : NULL;
    }
    return end;
}

/* How long the $tag$ is that begins here; 0: none does. */
static size_t tag_length(const char *p)
{
    size_t len = 1;
    if (*p != '$' || is_digit(p[1]))
        return 0;
    while (begins_word(p[len]) || is_digit(p[len]))
        len++;
    return p[len] == '$' ? len + 1 : 0;
}

static const char *past_dollars(const char *p, size_t tag)
{
    for (const char *end = p + tag; *end != '\0'; end++)
        if (strncmp(end, p, tag) == 0)
            return end + tag;
    return NULL;
}

static const char *past_word(const char *p)
{
    while (begins_word(*p) || is_digit(*p) || *p == '$')
        p++;
    return p;
}

/* Behind {word}; NULL: it is none. */
static const char *past_place(const char *p)
{
    if (*p != '{')
        return NULL;
    const char *end = past_word(p + 1);
    return end > p + 1 && *end == '}' ? end + 1 : NULL;
}

/* Passes by blanks and comments; NULL: a comment has no end, and begins at *unended. */
static const char *past_between(const char *p, const char **unended)
{
    for (;;) {
        *unended = p;
        if (is_blank(*p))
            p++;
        else if (strncmp(p, "--", 2) == 0)
            p = past_line_comment(p);
        else if (strncmp(p, "/*", 2) == 0)
            p = past_block_comment(p);
        else
            return p;
        if (p == NULL)
            return NULL;
    }
}

/* The kind of the piece that begins here, and where it ends; NULL: nowhere. */
static enum sql_kind measure(const char *p, const char **end)
{
    size_t tag = tag_length(p);
    if (tag > 0) {
        *end = past_dollars(p, tag);
        return SQL_LITERAL;
    }
    if (*p == '\'' || ((*p == 'e' || *p == 'E') && p[1] == '\'')) {
        *end = past_literal(*p == '\'' ? p : p + 1, *p != '\'');
        return SQL_LITERAL;
    }
    if (*p == '"') {
        *end = past_quoted(p, false);
        return SQL_NAME;
    }
    if (begins_word(*p)) {
        *end = past_word(p);
        return SQL_WORD;
    }
    if (is_digit(*p)) {
        *end = p + strspn(p, "0123456789.");
        return SQL_NUMBER;
    }
    if (*p == '$' && is_digit(p[1])) {
        *end = p + 1 + strspn(p + 1, "0123456789");
        return SQL_PARAMETER;
    }
    *end = past_place(p);
    if (*end != NULL)
        return SQL_PLACE;
    *end = *p != '\0' ? p + 1 : p;
    return *p != '\0' ? SQL_CHARACTER : SQL_END;
}

struct sql_token sql_scan(const char **text)
{
    const char *unended, *end = NULL;
    const char *at = past_between(*text, &unended);
    enum sql_kind kind = at != NULL ? measure(at, &end) : SQL_UNENDED;
    if (end == NULL) {
        at = at != NULL ? at : unended;
        kind = SQL_UNENDED;
        end = at + strlen(at);
    }
    *text = end;
    return (struct sql_token){kind, at, (size_t)(end - at)};
}

bool sql_token_is(const struct sql_token *token, const char *word)
{
    return token->kind == SQL_WORD && strlen(word) == token->len &&
           strncasecmp(token->at, word, token->len) == 0;
}

bool sql_token_is_char(const struct sql_token *token, char c)
{
    return token->kind == SQL_CHARACTER && *token->at == c;
}
