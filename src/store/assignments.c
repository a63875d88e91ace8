/* What SQL assignments assign. */
#include "store/assignments.h"

#include "base/sql_scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A column's name as the catalog has it; NULL: out of memory. */
static char *read_name(const struct sql_token *token)
{
    bool quoted = token->kind == SQL_NAME;
    const char *end = token->at + token->len - quoted;
    char *name = malloc(token->len + 1), *out = name;
    if (name == NULL)
        return NULL;
    for (const char *p = token->at + quoted; p < end; p++) {
        *out++ = quoted || (unsigned char)*p >= 0x80 ? *p : (char)tolower((unsigned char)*p);
        p += quoted && *p == '"'; /* the quote itself stands twice */
    }
    *out = '\0';
    return name;
}

/* A value, whose first piece is at hand; *comma: another assignment follows. NULL: out of memory.
 */
static char *read_value(struct sql_token token, const char **text, bool *comma)
{
    const char *begin = token.at, *end = begin;
    int depth = 0;
    while (token.kind != SQL_END && !(depth == 0 && sql_token_is_char(&token, ','))) {
        depth += sql_token_is_char(&token, '(') || sql_token_is_char(&token, '[');
        depth -= sql_token_is_char(&token, ')') || sql_token_is_char(&token, ']');
        end = token.at + token.len;
        token = sql_scan(text);
    }
    *comma = token.kind != SQL_END;
    return strndup(begin, (size_t)(end - begin));
}

/* 0; -1: out of memory; 1: of another form. */
static int read_one(struct assignments *a, const char **text, bool *comma)
{
    struct sql_token name = sql_scan(text), equals = sql_scan(text);
    if ((name.kind != SQL_WORD && name.kind != SQL_NAME) || !sql_token_is_char(&equals, '='))
        return 1;
    struct sql_token first = sql_scan(text);
    if (first.kind == SQL_END || sql_token_is_char(&first, ','))
        return 1;
    struct assignment *list = realloc(a->list, (a->n + 1) * sizeof(*list));
    if (list == NULL)
        return -1;
    a->list = list;
    list[a->n] = (struct assignment){read_name(&name), read_value(first, text, comma)};
    a->n++;
    return list[a->n - 1].column != NULL && list[a->n - 1].value != NULL ? 0 : -1;
}

int assignments_read(struct assignments *out, const char *sql)
{
    bool more = true;
    int rc = 0;
    *out = (struct assignments){0};
    while (rc == 0 && more)
        rc = read_one(out, &sql, &more);
    if (rc != 0)
        assignments_clear(out);
    return rc;
}

void assignments_clear(struct assignments *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->list[i].column);
        free(a->list[i].value);
    }
    free(a->list);
    *a = (struct assignments){0};
}

bool assignments_have(const struct assignments *a, const char *column)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->list[i].column, column) == 0)
            return true;
    return false;
}
