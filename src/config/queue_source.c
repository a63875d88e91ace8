/* The items of a queues file, by libyaml. It is asked for events alone: of types it knows nothing
 * then, and every value is the text that stands there.
 *
 * Where a value is cut off libyaml does not say: a comment is no event. So the raw line is looked
 * at behind the end of each value. Marks count characters, lines too; bytes are counted along. */
#include "config/queue_source.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BOM "\xEF\xBB\xBF"

int queue_source_say(const struct queue_source *s, int line, const char *format, ...)
{
    char sentence[512];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, list);
    va_end(list);
    if (s->file == NULL)
        return config_fail(s->error, "the built-in queue: %s", sentence);
    return line > 0 ? config_fail(s->error, "%s:%d: %s", s->file, line, sentence)
                    : config_fail(s->error, "%s: %s", s->file, sentence);
}

/* In which line a byte stands. */
static int line_of(const struct queue_source *s, size_t at)
{
    int line = 1;
    for (size_t i = 0; i < at && i < s->len; i++)
        line += s->text[i] == '\n';
    return line;
}

/* What is said of a byte that has no place in a text file, or NULL. */
static const char *byte_fault(unsigned char byte, size_t char_len)
{
    if (char_len == 0)
        return "this is not UTF-8: save the file as UTF-8";
    if (byte == '\0')
        return "it holds a NUL byte: leave it out";
    if (byte == 0x7F || (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r'))
        return "it holds a control character: leave it out";
    return NULL;
}

static int check_bytes(const struct queue_source *s)
{
    for (size_t i = 0, n; i < s->len; i += n) {
        n = utf8_char_len(s->text + i, s->len - i);
        const char *fault = byte_fault((unsigned char)s->text[i], n);
        if (fault != NULL)
            return queue_source_fail(s, line_of(s, i), "%s", fault);
    }
    return 0;
}

int queue_source_open(struct queue_source *s, const char *file, const char *text, size_t len,
                      const struct config_error *error)
{
    *s = (struct queue_source){.file = file, .text = text, .len = len, .error = error};
    if (len > QUEUES_FILE_MAX)
        return queue_source_fail(s, 0,
                                 "it is longer than 1 MiB: a file of queues has at most %zu "
                                 "bytes",
                                 QUEUES_FILE_MAX);
    if (check_bytes(s) != 0)
        return -1;
    if (len >= strlen(BOM) && memcmp(text, BOM, strlen(BOM)) == 0) {
        s->text += strlen(BOM);
        s->len -= strlen(BOM);
    }
    if (!yaml_parser_initialize(&s->parser))
        return queue_source_fail(s, 0, "memory ran out");
    yaml_parser_set_encoding(&s->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&s->parser, (const unsigned char *)s->text, s->len);
    return 0;
}

void queue_source_close(struct queue_source *s)
{
    yaml_event_delete(&s->event);
    yaml_parser_delete(&s->parser);
}

/* The byte at which a character stands. */
static size_t byte_of(struct queue_source *s, size_t index)
{
    for (; s->index < index && s->at < s->len; s->index++)
        s->at += utf8_char_len(s->text + s->at, s->len - s->at);
    return s->at;
}

/* libyaml's own words, and what helps against most of its faults. */
static int refuse_syntax(struct queue_source *s)
{
    const yaml_parser_t *p = &s->parser;
    const char *problem = p->problem == NULL ? "it cannot be read" : p->problem;
    if (p->error == YAML_MEMORY_ERROR)
        return queue_source_fail(s, 0, "memory ran out");
    if (p->error == YAML_READER_ERROR)
        return queue_source_fail(s, line_of(s, p->problem_offset), "this is not YAML: %s", problem);

    int line = (int)p->problem_mark.line + 1;
    size_t at = byte_of(s, p->problem_mark.index);
    if ((at < s->len && s->text[at] == '\t') || strstr(problem, "tab character") != NULL)
        return queue_source_fail(s, line, "this is not YAML: there is a tab: indent with blanks");
    return queue_source_fail(s, line,
                             "this is not YAML (%s): keys of one level are indented alike, with "
                             "blanks; SQL: write it as a | block",
                             problem);
}

/* What YAML can do and a queues file must not, since it would give a value that does not stand
 * there. */
static int refuse_property(const struct queue_source *s, const char *anchor, const char *tag,
                           int line)
{
    if (anchor != NULL)
        return queue_source_fail(s, line,
                                 "\"&%.60s\" is an anchor, which is not allowed here: a value that "
                                 "begins with & is to be quoted; SQL: write it as a | block",
                                 anchor);
    if (tag != NULL)
        return queue_source_fail(s, line,
                                 "\"%.60s\" is a tag, which is not allowed here: a value that "
                                 "begins with ! is to be quoted; SQL: write it as a | block",
                                 tag);
    return 0;
}

/* Whether a comment follows in the same line. */
static bool comment_follows(const struct queue_source *s, size_t at)
{
    while (at < s->len && (s->text[at] == ' ' || s->text[at] == '\t'))
        at++;
    return at < s->len && s->text[at] == '#';
}

static int take_text(struct queue_source *s, struct queue_item *item)
{
    const yaml_event_t *e = &s->event;
    yaml_scalar_style_t style = e->data.scalar.style;
    if (refuse_property(s, (const char *)e->data.scalar.anchor, (const char *)e->data.scalar.tag,
                        item->line) != 0)
        return -1;
    item->kind = QUEUE_ITEM_TEXT;
    item->text = (const char *)e->data.scalar.value;
    item->len = e->data.scalar.length;
    item->block = style == YAML_LITERAL_SCALAR_STYLE;
    item->folded = style == YAML_FOLDED_SCALAR_STYLE ||
                   (!item->block && e->end_mark.line != e->start_mark.line);
    item->comment = !item->block && comment_follows(s, byte_of(s, e->end_mark.index));
    return 0;
}

/* A mapping or a list begins. */
static int take_collection(struct queue_source *s, struct queue_item *item)
{
    const yaml_event_t *e = &s->event;
    bool mapping = e->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *anchor =
        mapping ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
    const yaml_char_t *tag = mapping ? e->data.mapping_start.tag : e->data.sequence_start.tag;
    if (refuse_property(s, (const char *)anchor, (const char *)tag, item->line) != 0)
        return -1;
    item->kind = mapping ? QUEUE_ITEM_MAPPING : QUEUE_ITEM_LIST;
    return 0;
}

int queue_source_next(struct queue_source *s, struct queue_item *item)
{
    for (;;) {
        yaml_event_delete(&s->event);
        if (!yaml_parser_parse(&s->parser, &s->event))
            return refuse_syntax(s);
        *item = (struct queue_item){
            .line = s->file == NULL ? 0 : (int)s->event.start_mark.line + 1,
        };
        switch (s->event.type) {
        case YAML_SCALAR_EVENT:
            return take_text(s, item);
        case YAML_MAPPING_START_EVENT:
        case YAML_SEQUENCE_START_EVENT:
            return take_collection(s, item);
        case YAML_MAPPING_END_EVENT:
        case YAML_SEQUENCE_END_EVENT:
            item->kind = QUEUE_ITEM_END;
            return 0;
        case YAML_STREAM_END_EVENT:
            item->kind = QUEUE_ITEM_DONE;
            return 0;
        case YAML_ALIAS_EVENT:
            return queue_source_fail(s, item->line,
                                     "\"*%.60s\" is an alias, which is not allowed here: a value "
                                     "that begins with * is to be quoted; SQL: write it as a | "
                                     "block",
                                     (const char *)s->event.data.alias.anchor);
        case YAML_DOCUMENT_START_EVENT:
            if (++s->documents > 1)
                return queue_source_fail(s, item->line,
                                         "a second document begins here: all queues stand in one, "
                                         "so leave --- out");
            continue;
        default:
            continue;
        }
    }
}
