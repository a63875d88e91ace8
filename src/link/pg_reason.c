/* What libpq says of a connection that failed, as one line.
 *
 * It says a line for each address that it tried (localhost is ::1 and 127.0.0.1) and for each way
 * of trying it (with encryption and without), and after each an indented hint, which is mostly the
 * same. Here no line comes twice, and a hint comes after the last line that it belongs to. */
#include "link/pg_link_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char ENDS[] = ".?!:;";

struct sentence {
    const char *text;
    size_t len;
    bool hint; /* of the sentence before it */
};

static bool indented(const char *line)
{
    return *line == '\t' || *line == ' ';
}

/* The sentence at *at, which is moved behind it; false: there is none left. A hint may have several
 * lines. */
static bool next_sentence(const char **at, struct sentence *s)
{
    const char *p = *at + strspn(*at, "\r\n");
    s->text = p;
    s->hint = indented(p);
    p += strcspn(p, "\n");
    while (s->hint && *p == '\n' && indented(p + 1))
        p += 1 + strcspn(p + 1, "\n");
    s->len = (size_t)(p - s->text);
    *at = p;
    return s->len > 0;
}

static bool said_between(const char *from, const char *to, const struct sentence *s)
{
    struct sentence other;
    while (next_sentence(&from, &other) && other.text < to) {
        if (other.len == s->len && memcmp(other.text, s->text, s->len) == 0)
            return true;
    }
    return false;
}

static void add(char *out, size_t size, const struct sentence *s)
{
    char text[PG_MESSAGE_SIZE], line[PG_MESSAGE_SIZE];
    size_t said = strlen(out);
    const char *between = s->hint ? " " : "; ";
    (void)snprintf(text, sizeof(text), "%.*s", (int)s->len, s->text);
    pg_one_line(line, sizeof(line), text);
    if (said == 0 || line[0] == '\0')
        between = "";
    else if (strchr(ENDS, out[said - 1]) != NULL)
        between = " ";
    else if (s->hint && isupper((unsigned char)line[0]))
        between = ". ";
    (void)snprintf(out + said, size - said, "%s%s", between, line);
}

void pg_reason_line(char *out, size_t size, const char *text)
{
    const char *at = text, *end = text + strlen(text);
    struct sentence s;
    out[0] = '\0';
    while (next_sentence(&at, &s)) {
        bool elsewhere = s.hint ? said_between(at, end, &s) : said_between(text, s.text, &s);
        if (!elsewhere)
            add(out, size, &s);
    }
}
