/* --init: names and comments in YAML. Characters that end a line to YAML, or that it does not
 * allow, stand escaped in names, and not at all in comments. */
#include "app/init_yaml.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 100

bool init_yaml_takes(const char *name)
{
    for (; *name != '\0'; name++)
        if (iscntrl((unsigned char)*name))
            return false;
    return true;
}

/* Takes one character of valid UTF-8 off the front. */
static unsigned take(const char **text)
{
    const unsigned char *p = (const unsigned char *)*text;
    int more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc0 ? 1 : 0;
    unsigned c = more == 0 ? *p : *p & (0x3fU >> more);
    for (p++; more > 0 && *p != '\0'; more--)
        c = c << 6 | (*p++ & 0x3fU);
    *text = (const char *)p;
    return c;
}

/* What YAML takes as it is within a line. */
static bool ordinary(unsigned c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return false;
    return c != 0x2028 && c != 0x2029 && c != 0xfeff && c != 0xfffe && c != 0xffff;
}

/* In YAML's double quotes. */
static void put_quoted(FILE *out, const char *text)
{
    while (*text != '\0') {
        const char *from = text;
        unsigned c = take(&text);
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", (char)c);
        else if (ordinary(c))
            fwrite(from, 1, (size_t)(text - from), out);
        else
            fprintf(out, "\\u%04X", c);
    }
}

/* In SQL's quotes, within YAML's. */
static void put_sql_quoted(FILE *out, const char *name)
{
    fputs("\\\"", out);
    while (*name != '\0') {
        const char *from = name;
        char one[5] = {0};
        (void)take(&name);
        memcpy(one, from, (size_t)(name - from));
        put_quoted(out, one);
        if (*from == '"')
            fputs("\\\"", out); /* doubled */
    }
    fputs("\\\"", out);
}

static bool plain(const char *name)
{
    return (isalpha((unsigned char)*name) || *name == '_') &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] ==
               '\0';
}

/* ends: what would end the name for the reader, without SQL's quotes. */
static void put_part(FILE *out, const char *name, const char *ends)
{
    if (*name == '"' || strpbrk(name, ends) != NULL)
        put_sql_quoted(out, name);
    else
        put_quoted(out, name);
}

void init_yaml_column(FILE *out, const char *name)
{
    if (plain(name)) {
        fputs(name, out);
        return;
    }
    fputc('"', out);
    if (*name == '"')
        put_sql_quoted(out, name);
    else
        put_quoted(out, name);
    fputc('"', out);
}

void init_yaml_table(FILE *out, const char *schema, const char *table)
{
    bool bare = plain(table) && (schema == NULL || plain(schema));
    if (bare) {
        fprintf(out, "%s%s%s", schema == NULL ? "" : schema, schema == NULL ? "" : ".", table);
        return;
    }
    fputc('"', out);
    if (schema != NULL) {
        put_part(out, schema, ".");
        fputc('.', out);
    }
    put_part(out, table, ".");
    fputc('"', out);
}

static void put_clean(FILE *out, const char *text, size_t len)
{
    const char *end = text + len;
    while (text < end) {
        const char *from = text;
        if (ordinary(take(&text)))
            fwrite(from, 1, (size_t)(text - from), out);
        else
            fputc('?', out);
    }
}

void init_yaml_comment(FILE *out, const char *indent, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0)
        return;
    size_t room = LINE_BYTES - strlen(indent) - 2;
    for (const char *rest = text; *rest != '\0';) {
        size_t n = strlen(rest);
        if (n > room) {
            for (n = room; n > 0 && rest[n] != ' ';)
                n--;
            if (n == 0)
                n = strcspn(rest, " ");
        }
        fprintf(out, "%s# ", indent);
        put_clean(out, rest, n);
        fputc('\n', out);
        rest += n;
        rest += strspn(rest, " ");
    }
    free(text);
}

void init_yaml_idea(FILE *out, const char *indent, const char *line)
{
    fprintf(out, "%s# ", indent);
    put_clean(out, line, strlen(line));
    fputc('\n', out);
}
