/* What SQL assignments assign. Text is passed over as Postgres's own scanner does it: quotes,
 * dollar quotes, comments and brackets are each one piece. */
#include "store/assignments.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Behind a comment that may have others within it. */
static const char *past_comment(const char *p)
{
    int depth = 0;
    do {
        if (strncmp(p, "/*", 2) == 0) {
            depth++;
            p += 2;
        } else if (strncmp(p, "*/", 2) == 0) {
            depth--;
            p += 2;
        } else {
            p++;
        }
    } while (depth > 0 && *p != '\0');
    return p;
}

/* Behind '...', E'...' or "...", in which the quote itself stands twice. */
static const char *past_quotes(const char *p, bool escapes)
{
    char quote = *p++;
    for (; *p != '\0'; p++) {
        if (escapes && *p == '\\' && p[1] != '\0')
            p++;
        else if (*p == quote && p[1] == quote)
            p++;
        else if (*p == quote)
            return p + 1;
    }
    return p;
}

static bool in_word(char c)
{
    unsigned char u = (unsigned char)c;
    return isalnum(u) || u == '_' || u >= 0x80;
}

/* Behind $tag$ ... $tag$; NULL: it is none. */
static const char *past_dollars(const char *p)
{
    size_t len = 1;
    while (in_word(p[len]))
        len++;
    if (p[len] != '$' || isdigit((unsigned char)p[1]))
        return NULL;
    len++;
    for (const char *end = p + len; *end != '\0'; end++)
        if (strncmp(end, p, len) == 0)
            return end + len;
    return p + strlen(p);
}

static const char *past_word(const char *p)
{
    while (in_word(*p) || *p == '$')
        p++;
    return p;
}

/* Behind the piece that begins here: a quoted text, a comment, a word, or one character. */
static const char *past_piece(const char *p)
{
    const char *end = *p == '$' ? past_dollars(p) : NULL;
    if (end != NULL)
        return end;
    if (strncmp(p, "--", 2) == 0)
        return p + strcspn(p, "\n");
    if (strncmp(p, "/*", 2) == 0)
        return past_comment(p);
    if ((*p == 'e' || *p == 'E') && p[1] == '\'')
        return past_quotes(p + 1, true);
    if (*p == '\'' || *p == '"')
        return past_quotes(p, false);
    return in_word(*p) ? past_word(p) : p + 1;
}

/* What is no SQL: blanks and comments. */
static const char *past_blank(const char *p)
{
    while (isspace((unsigned char)*p) || strncmp(p, "--", 2) == 0 || strncmp(p, "/*", 2) == 0)
        p = isspace((unsigned char)*p) ? p + 1 : past_piece(p);
    return p;
}

/* The end of a value: a comma outside of all brackets, or the text's. */
static const char *past_value(const char *p)
{
    int depth = 0;
    while (*p != '\0' && (*p != ',' || depth > 0)) {
        depth += (*p == '(' || *p == '[') - (*p == ')' || *p == ']');
        p = past_piece(p);
    }
    return p;
}

/* A column's name as the catalog has it; NULL: out of memory. */
static char *read_name(const char *at, const char *end)
{
    char *name = malloc((size_t)(end - at) + 1), *out = name;
    bool quoted = *at == '"';
    if (name == NULL)
        return NULL;
    for (const char *p = at + quoted; p < end - quoted; p++) {
        *out++ = quoted || (unsigned char)*p >= 0x80 ? *p : (char)tolower((unsigned char)*p);
        p += quoted && *p == '"';
    }
    *out = '\0';
    return name;
}

static int add(struct assignments *a, const char *name, const char *name_end, const char *value,
               const char *value_end)
{
    struct assignment *list = realloc(a->list, (a->n + 1) * sizeof(*list));
    if (list == NULL)
        return -1;
    while (value_end > value && isspace((unsigned char)value_end[-1]))
        value_end--;
    a->list = list;
    list[a->n] =
        (struct assignment){read_name(name, name_end), strndup(value, (size_t)(value_end - value))};
    a->n++;
    return list[a->n - 1].column != NULL && list[a->n - 1].value != NULL ? 0 : -1;
}

/* One, up to the comma behind it or the end; *at is moved there. */
static int read_one(struct assignments *a, const char **at)
{
    const char *name = past_blank(*at);
    if (*name != '"' && (!in_word(*name) || isdigit((unsigned char)*name)))
        return 1;
    const char *name_end = *name == '"' ? past_quotes(name, false) : past_word(name);
    const char *equals = past_blank(name_end);
    if (*equals != '=')
        return 1;
    const char *value = past_blank(equals + 1);
    const char *end = past_value(value);
    *at = end;
    return end == value ? 1 : add(a, name, name_end, value, end);
}

int assignments_read(struct assignments *out, const char *sql)
{
    int rc;
    *out = (struct assignments){0};
    for (;;) {
        rc = read_one(out, &sql);
        if (rc != 0 || *sql == '\0')
            break;
        sql++; /* the comma */
    }
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

const char *assignments_literal(const char **at, size_t *len)
{
    const char *p = *at;
    while (*p != '\0' && *p != '\'')
        p = past_piece(p);
    if (*p == '\0')
        return NULL;
    *at = past_quotes(p, false);
    *len = (size_t)(*at - p) - 2;
    return (*at)[-1] == '\'' && *at - p >= 2 ? p + 1 : NULL;
}
