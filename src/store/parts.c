/* Makes a statement out of parts.
 *
 * A text of sql/ is a statement, and behind it, maybe, parts. A line that begins with --@ begins a
 * part, which ends before the next such line:
 *
 *     --@ NAME                     the part of that name
 *     --@ NAME if FACT !FACT ...   ... where each of these holds, or does not (!)
 *
 * In braces a statement names a part, or a value. Of several parts of one name the first one counts
 * whose facts are as it says: the special ones come first, and the last one has no condition. The
 * statement's own parts are looked through first, then those that all statements share.
 *
 * What must hold:
 * - Parts may name parts, but not in a circle (DEPTH_MAX).
 * - A value is written as it is: braces in it are not looked into. Names of the shop's are values.
 * - Statements and parts have no braces of their own, and no -- within a literal: comments are left
 *   out, since the server need not be sent them with each request.
 * - What is not so is an error of the program: an assert, which every start would meet, since all
 *   statements are made at once. */
#include "store/parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MARK "--@ "
#define DEPTH_MAX 8
#define PARTS_MAX 200 /* of a text */

/* A piece of a text, not terminated. */
struct span {
    const char *at;
    size_t len;
};

static bool is(struct span word, const char *name)
{
    return strlen(name) == word.len && memcmp(word.at, name, word.len) == 0;
}

/* Takes the next word off a line; an empty one at its end. */
static struct span next_word(struct span *line)
{
    while (line->len > 0 && *line->at == ' ')
        *line = (struct span){line->at + 1, line->len - 1};
    struct span word = {line->at, 0};
    while (word.len < line->len && line->at[word.len] != ' ')
        word.len++;
    *line = (struct span){line->at + word.len, line->len - word.len};
    return word;
}

static bool holds(const struct parts *p, struct span fact)
{
    bool wanted = fact.at[0] != '!';
    if (!wanted)
        fact = (struct span){fact.at + 1, fact.len - 1};
    for (size_t i = 0; i < p->n_facts; i++)
        if (is(fact, p->facts[i].name))
            return p->facts[i].holds == wanted;
    assert(false); /* a part wants an unknown fact */
    return false;
}

struct part {
    struct span name, facts, body; /* facts: with their `if`, or empty */
};

/* The parts of a text. Found once for a rendering: tokens are many, and so are parts. */
struct index {
    struct part all[PARTS_MAX];
    size_t n;
};

/* Whether it is the part of this name, and all of its facts hold. */
static bool is_meant(const struct parts *p, const struct part *part, struct span name)
{
    struct span line = part->facts;
    if (part->name.len != name.len || memcmp(part->name.at, name.at, name.len) != 0)
        return false;
    struct span word = next_word(&line);
    assert(word.len == 0 || is(word, "if"));
    for (word = next_word(&line); word.len > 0; word = next_word(&line))
        if (!holds(p, word))
            return false;
    return true;
}

/* Where the next part's first line begins, or the text's end. */
static const char *next_mark(const char *text)
{
    if (strncmp(text, MARK, strlen(MARK)) == 0)
        return text;
    const char *mark = strstr(text, "\n" MARK);
    return mark != NULL ? mark + 1 : text + strlen(text);
}

/* What comes behind white space and comments, or the end. */
static const char *past_blank(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || strncmp(p, "--", 2) == 0))
        p += *p == '-' ? strcspn(p, "\n") : 1;
    return p;
}

static struct span between(const char *begin, const char *end)
{
    begin = past_blank(begin, end);
    return (struct span){begin, (size_t)(end - begin)};
}

static void read_parts(const char *text, struct index *index)
{
    index->n = 0;
    for (const char *mark = next_mark(text); *mark != '\0';) {
        const char *line = mark + strlen(MARK);
        struct span head = {line, strcspn(line, "\n")};
        const char *body = line + head.len;
        assert(index->n < PARTS_MAX);
        struct part *part = &index->all[index->n++];
        mark = next_mark(body);
        part->name = next_word(&head);
        part->facts = head;
        part->body = between(body, mark);
    }
}

/* The part of this name; at is NULL when there is none. */
static struct span find(const struct parts *p, const struct index *index, struct span name)
{
    for (size_t i = 0; i < index->n; i++)
        if (is_meant(p, &index->all[i], name))
            return index->all[i].body;
    return (struct span){NULL, 0};
}

struct rendering {
    const struct parts *parts;
    struct index own; /* the text's, which come first */
    struct index shared;
    FILE *out;
};

/* How far a text has been put out. */
struct cursor {
    const char *at, *end;
};

static struct cursor beginning(struct span text)
{
    return (struct cursor){text.at, text.at + text.len};
}

/* *inner: the part that the token names, if it names one. */
static int put_token(const struct rendering *r, struct span token, struct cursor *inner)
{
    struct span part = find(r->parts, &r->own, token);
    if (part.at == NULL)
        part = find(r->parts, &r->shared, token);
    if (part.at == NULL)
        return r->parts->put_value(r->parts->arg, r->out, token.at, token.len);
    *inner = beginning(part);
    return 0;
}

/* Lines without SQL are left out. */
static int put_line_end(const struct rendering *r, const char *line_end, const char *next)
{
    const char *line = next;
    while (line > line_end && line[-1] != '\n')
        line--;
    return fputc('\n', r->out) == EOF ||
                   fwrite(line, 1, (size_t)(next - line), r->out) != (size_t)(next - line)
               ? -1
               : 0;
}

/* A comment, a token, a line's end or a character. */
static int put_piece(const struct rendering *r, struct cursor *c, struct cursor *inner)
{
    const char *next = c->at + 1;
    int rc = 0;
    if (strncmp(c->at, "--", 2) == 0) {
        next = c->at + strcspn(c->at, "\n");
    } else if (*c->at == '{') {
        struct span token = {c->at + 1, strcspn(c->at + 1, "}")};
        rc = put_token(r, token, inner);
        next = token.at + token.len + 1;
    } else if (*c->at == '\n') {
        next = past_blank(c->at, c->end);
        rc = next < c->end ? put_line_end(r, c->at, next) : 0;
    } else {
        rc = fputc(*c->at, r->out) == EOF ? -1 : 0;
    }
    c->at = next;
    return rc;
}

static int put(const struct rendering *r, struct span text)
{
    struct cursor parts[DEPTH_MAX + 1] = {beginning(text)};
    size_t depth = 1;
    int rc = 0;
    while (depth > 0 && rc == 0) {
        struct cursor *innermost = &parts[depth - 1];
        struct cursor inner = {.at = NULL};
        if (innermost->at >= innermost->end) {
            depth--;
            continue;
        }
        rc = put_piece(r, innermost, &inner);
        if (inner.at != NULL) {
            assert(depth <= DEPTH_MAX);
            parts[depth++] = inner;
        }
    }
    return rc;
}

char *parts_render(const char *text, const struct parts *parts)
{
    char *sql = NULL;
    size_t size = 0;
    struct rendering r = {.parts = parts, .out = open_memstream(&sql, &size)};
    if (r.out == NULL)
        return NULL;
    read_parts(text, &r.own);
    read_parts(parts->shared, &r.shared);
    int rc = put(&r, between(text, next_mark(text)));
    if (fclose(r.out) != 0 || rc != 0) {
        free(sql);
        return NULL;
    }
    return sql;
}
