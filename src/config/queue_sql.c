/* What a piece of the operator's SQL may be. It becomes a part of a statement, so it must not end
 * that, nor go on behind what it claims to be: a condition, a list of assignments, one statement.
 */
#include "config/queue_sql.h"

#include "base/sql_scan.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum piece_kind {
    PIECE_CONDITION,
    PIECE_QUESTION,
    PIECE_ASSIGNMENTS,
    PIECE_STATEMENT,
    PIECE_QUERY
};

/* Where the look at a piece has come to. */
struct look {
    enum piece_kind kind;
    const char *key;
    const char *rest;
    struct sql_token token, before; /* this one, and the one before it */
    int depth;                      /* of brackets */
    int pieces, places;             /* so far */
    char *why;
    size_t size;
};

static int refuse(const struct look *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(const struct look *l, const char *format, ...)
{
    va_list args;
    int len = snprintf(l->why, l->size, "%s: ", l->key);
    if (len < 0 || (size_t)len >= l->size)
        return -1;
    va_start(args, format);
    (void)vsnprintf(l->why + len, l->size - (size_t)len, format, args);
    va_end(args);
    return -1;
}

/* How much of the token a sentence repeats: of a word in ASCII, and not all of a long one. */
static int shown(const struct look *l)
{
    int n = 1;
    while ((size_t)n < l->token.len && n < 40 && l->token.at[n] > ' ')
        n++;
    return n;
}

static const char *wanted(const struct look *l)
{
    static const char *const names[] = {
        [PIECE_CONDITION] = "one condition",
        [PIECE_QUESTION] = "one condition",
        [PIECE_ASSIGNMENTS] = "a list of assignments",
        [PIECE_STATEMENT] = "one statement",
        [PIECE_QUERY] = "one query",
    };
    return names[l->kind];
}

/* A word behind a point is a name, whatever it is. */
static bool is_keyword(const struct look *l, const char *word)
{
    return sql_token_is(&l->token, word) && !sql_token_is_char(&l->before, '.');
}

static int refuse_unended(const struct look *l)
{
    const char first = *l->token.at;
    return refuse(l, "%s has no end",
                  first == '/'    ? "a comment (/*)"
                  : first == '"'  ? "a name in quotes (\")"
                  : first == '\'' ? "a literal (')"
                                  : "a literal");
}

static int look_at_bracket(struct look *l)
{
    const struct sql_token *t = &l->token;
    l->depth += sql_token_is_char(t, '(') || sql_token_is_char(t, '[');
    l->depth -= sql_token_is_char(t, ')') || sql_token_is_char(t, ']');
    if (l->depth < 0)
        return refuse(l, "a \"%c\" closes what nothing opened: %s is wanted", *t->at, wanted(l));
    return 0;
}

/* A semicolon may end a statement; nothing comes behind it. */
static int look_at_semicolon(const struct look *l)
{
    const char *rest = l->rest;
    struct sql_token next = sql_scan(&rest);
    if (l->kind >= PIECE_STATEMENT && next.kind == SQL_END)
        return 0;
    return refuse(l, "a \";\" ends it before its end: %s is wanted", wanted(l));
}

/* On the row alone. */
static int look_at_reads(const struct look *l)
{
    const char *rest = l->rest;
    bool reads = is_keyword(l, "select") || is_keyword(l, "table");
    if (is_keyword(l, "values")) {
        struct sql_token next = sql_scan(&rest);
        reads = sql_token_is_char(&next, '(');
    }
    if (reads)
        return refuse(l,
                      "%.*s reads what is not in the row: a condition on the row alone is wanted; "
                      "what depends on other rows belongs in keep_while",
                      (int)l->token.len, l->token.at);
    return 0;
}

static int look_at_condition(const struct look *l)
{
    if (l->kind == PIECE_CONDITION && look_at_reads(l) != 0)
        return -1;
    if (l->depth == 0 && sql_token_is_char(&l->token, ','))
        return refuse(l, "a \",\" follows the condition: one condition is wanted");
    return 0;
}

/* IS DISTINCT FROM is an operator. */
static int look_at_assignments(const struct look *l)
{
    bool behind = is_keyword(l, "where") || is_keyword(l, "returning") ||
                  (is_keyword(l, "from") && !sql_token_is(&l->before, "distinct"));
    if (l->depth == 0 && behind)
        return refuse(l, "%.*s follows the assignments: nothing but assignments is wanted",
                      (int)l->token.len, l->token.at);
    return 0;
}

static int look_at_statement(struct look *l)
{
    static const char *const kinds[] = {"insert", "update", "delete", "merge", "select", "with"};
    bool known = l->pieces > 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        known = known || sql_token_is(&l->token, kinds[i]);
    if (!known)
        return refuse(l,
                      "a statement that begins with \"%.*s\" is not allowed: INSERT, UPDATE, "
                      "DELETE, MERGE, SELECT and WITH are",
                      shown(l), l->token.at);
    if (is_keyword(l, "into") && !sql_token_is(&l->before, "insert") &&
        !sql_token_is(&l->before, "merge"))
        return refuse(l, "SELECT ... INTO is not allowed: it would create a table");
    return 0;
}

/* FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE, FOR KEY SHARE; others have a FOR too: substring(a FOR
 * 2).
 */
static bool locks(const struct look *l)
{
    const char *rest = l->rest;
    struct sql_token next = sql_scan(&rest), then = sql_scan(&rest);
    return is_keyword(l, "for") && (sql_token_is(&next, "update") || sql_token_is(&next, "share") ||
                                    (sql_token_is(&next, "no") && sql_token_is(&then, "key")) ||
                                    (sql_token_is(&next, "key") && sql_token_is(&then, "share")));
}

static int look_at_query(struct look *l)
{
    static const char *const kinds[] = {"select", "with", "values", "table"};
    bool known = l->pieces > 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        known = known || sql_token_is(&l->token, kinds[i]);
    if (!known)
        return refuse(l,
                      "a query that begins with \"%.*s\" is not allowed: SELECT, WITH, VALUES and "
                      "TABLE are",
                      shown(l), l->token.at);
    if (is_keyword(l, "into"))
        return refuse(l, "INTO is not allowed: a query that only reads is wanted");
    if (locks(l))
        return refuse(l, "FOR UPDATE or SHARE is not allowed: a query that only reads is wanted");
    return 0;
}

static int look_at_place(struct look *l)
{
    static const char released[] = "{released}";
    bool known =
        l->token.len == strlen(released) && memcmp(l->token.at, released, l->token.len) == 0;
    if (l->kind != PIECE_STATEMENT || !known)
        return refuse(l, "%.*s is nothing here: %s", shown(l), l->token.at,
                      l->kind == PIECE_STATEMENT ? "{released} is what was released"
                                                 : "braces are for statements of `also`");
    l->places++;
    return 0;
}

static int look_at_token(struct look *l)
{
    int rc = 0;
    if (l->token.kind == SQL_UNENDED)
        return refuse_unended(l);
    if (l->token.kind == SQL_PARAMETER)
        return refuse(l, "%.*s is a parameter, and there are none: write the value", shown(l),
                      l->token.at);
    if (l->token.kind == SQL_PLACE)
        return look_at_place(l);
    if (sql_token_is_char(&l->token, ';'))
        return look_at_semicolon(l);
    rc = look_at_bracket(l);
    if (rc == 0 && (l->kind == PIECE_CONDITION || l->kind == PIECE_QUESTION))
        rc = look_at_condition(l);
    else if (rc == 0 && l->kind == PIECE_ASSIGNMENTS)
        rc = look_at_assignments(l);
    else if (rc == 0 && l->kind == PIECE_STATEMENT)
        rc = look_at_statement(l);
    else if (rc == 0)
        rc = look_at_query(l);
    return rc;
}

static int check_piece(struct look *l, const char *sql)
{
    l->rest = sql;
    for (l->token = sql_scan(&l->rest); l->token.kind != SQL_END; l->token = sql_scan(&l->rest)) {
        if (look_at_token(l) != 0)
            return -1;
        l->before = l->token;
        l->pieces++;
    }
    if (l->pieces == 0)
        return refuse(l, "there is nothing but a comment: %s is wanted", wanted(l));
    if (l->depth > 0)
        return refuse(l, "a bracket is opened and not closed");
    if (l->kind == PIECE_STATEMENT && l->places == 0)
        return refuse(l, "this statement does not name {released}, the relation of what was "
                         "released, outside of literals and comments: without it, it would not "
                         "know what it is about");
    return 0;
}

/* ---- What is assigned */

/* Whether a word or a name is this column, as the catalog has it. */
static bool is_column(const struct sql_token *token, const char *column)
{
    const char *p = token->at, *end = token->at + token->len;
    bool quoted = token->kind == SQL_NAME;
    for (p += quoted, end -= quoted; p < end; p++, column++) {
        char c = !quoted && *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
        if (c != *column)
            return false;
        p += quoted && *p == '"';
    }
    return *column == '\0';
}

/* The columns that must not be assigned, by the queue's keys. */
struct kept_columns {
    const struct queue_text *list[QUEUE_KEYS_MAX + 3];
    int n;
};

static void keep_column(struct kept_columns *kept, const struct queue_text *column)
{
    if (column->text != NULL)
        kept->list[kept->n++] = column;
}

/* A target begins a list of assignments, follows a comma that is in no bracket, or is one of
 * several: (a, b) = (1, 2). */
static int check_targets(struct look *l, const char *sql, const struct kept_columns *kept)
{
    bool target = true, several = false;
    l->rest = sql;
    l->depth = 0;
    for (l->token = sql_scan(&l->rest); l->token.kind != SQL_END; l->token = sql_scan(&l->rest)) {
        bool named = l->token.kind == SQL_WORD || l->token.kind == SQL_NAME;
        for (int i = 0; i < kept->n && target && named; i++)
            if (is_column(&l->token, kept->list[i]->text))
                return refuse(l, "it sets %s, which has to stay as it is", kept->list[i]->text);
        if (sql_token_is_char(&l->token, '=') && l->depth == 0)
            several = false;
        else if (sql_token_is_char(&l->token, '(') && target && l->depth == 0)
            several = true;
        (void)look_at_bracket(l);
        target = (l->depth == 0 && sql_token_is_char(&l->token, ',')) ||
                 (several && l->depth == 1 &&
                  (sql_token_is_char(&l->token, ',') || sql_token_is_char(&l->token, '(')));
    }
    return 0;
}

static int check_assignments(struct look *l, const char *sql, const struct kept_columns *kept)
{
    return check_piece(l, sql) != 0 ? -1 : check_targets(l, sql, kept);
}

static int check_released(const struct queue *q, struct look *l)
{
    struct kept_columns kept = {.n = 0};
    keep_column(&kept, &q->id);
    keep_column(&kept, &q->quantity);
    for (int i = 0; i < q->stock.nkeys; i++)
        keep_column(&kept, &q->stock.keys[i].hold);
    return check_assignments(l, q->released.text, &kept);
}

static int check_stock_set(const struct queue *q, struct look *l)
{
    struct kept_columns kept = {.n = 0};
    keep_column(&kept, &q->stock.free);
    keep_column(&kept, &q->stock.held);
    keep_column(&kept, &q->stock.total);
    for (int i = 0; i < q->stock.nkeys; i++)
        keep_column(&kept, &q->stock.keys[i].counter);
    return check_assignments(l, q->stock.set.text, &kept);
}

int queue_sql_check(const struct queue *q, int *line, char *why, size_t size)
{
    struct look condition = {.kind = PIECE_CONDITION, .key = "active", .why = why, .size = size};
    struct look counted = {
        .kind = PIECE_CONDITION, .key = "stock.counted", .why = why, .size = size};
    struct look released = {.kind = PIECE_ASSIGNMENTS, .key = "released", .why = why, .size = size};
    struct look set = {.kind = PIECE_ASSIGNMENTS, .key = "stock.set", .why = why, .size = size};
    struct look keep = {.kind = PIECE_QUESTION, .key = "keep_while", .why = why, .size = size};
    *line = q->active.line;
    if (check_piece(&condition, q->active.text) != 0)
        return -1;
    *line = q->released.line;
    if (q->released.text != NULL && check_released(q, &released) != 0)
        return -1;
    *line = q->stock.set.line;
    if (q->stock.set.text != NULL && check_stock_set(q, &set) != 0)
        return -1;
    *line = q->stock.counted.line;
    if (q->stock.counted.text != NULL && check_piece(&counted, q->stock.counted.text) != 0)
        return -1;
    *line = q->keep.condition.line;
    if (q->keep.condition.text != NULL && check_piece(&keep, q->keep.condition.text) != 0)
        return -1;
    for (int i = 0; i < q->nalso; i++) {
        struct look also = {.kind = PIECE_STATEMENT, .key = "also", .why = why, .size = size};
        *line = q->also[i].line;
        if (check_piece(&also, q->also[i].text) != 0)
            return -1;
    }
    for (int i = 0; i < q->nverify; i++) {
        struct look verify = {.kind = PIECE_QUERY, .key = "verify", .why = why, .size = size};
        *line = q->verify[i].line;
        if (check_piece(&verify, q->verify[i].text) != 0)
            return -1;
    }
    return 0;
}
