/* What the assignments of `released` may change of a hold. The ways to release that read what
 * RETURNING says, which is the row after them, are for queues where the columns that they read
 * stay as they were (mapping_allows_bulk). To say so too often only costs the fast way. */
#include "store/released.h"

#include "base/sql_scan.h"

#include <string.h>

/* Whether a piece is this name in quotes. One with escapes (U&"...") may be any. */
static bool is_quoted(const struct sql_token *token, const char *column)
{
    size_t len = strlen(column);
    return token->kind == SQL_NAME && token->len == len + 2 &&
           memcmp(token->at + 1, column, len) == 0;
}

static bool escapes_names(const struct sql_token *token)
{
    return sql_token_is(token, "u") && token->at[1] == '&';
}

bool released_may_set(const char *released, const char *column)
{
    bool may = strchr(column, '"') != NULL;
    struct sql_token token = sql_scan(&released);
    for (; token.kind != SQL_END; token = sql_scan(&released))
        may = may || token.kind == SQL_UNENDED || sql_token_is(&token, column) ||
              is_quoted(&token, column) || escapes_names(&token);
    return may;
}
