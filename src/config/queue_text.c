/* The texts of a queues file. Names are taken as they stand, and found in the catalog later; SQL is
 * taken as it stands, and proved by Postgres. What is refused here is what YAML has made of a text
 * that was meant otherwise. */
#include "config/queue_text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define A_BLOCK "write it as a | block"

const char *queue_item_shape(const struct queue_item *item)
{
    return item->kind == QUEUE_ITEM_MAPPING ? "a mapping" : "a list";
}

/* Copies len bytes of an item. */
static int copy(const struct queue_source *s, const struct queue_item *item, const char *text,
                size_t len, struct queue_text *out)
{
    out->text = malloc(len + 1);
    out->line = item->line;
    if (out->text == NULL)
        return queue_source_fail(s, item->line, "memory ran out");
    memcpy(out->text, text, len);
    out->text[len] = '\0';
    return 0;
}

static int refuse_control(const struct queue_source *s, const char *what,
                          const struct queue_item *item, struct queue_text *out)
{
    free(out->text);
    out->text = NULL;
    return queue_source_fail(s, item->line, "%s holds a control character: leave it out", what);
}

int queue_line_take(const struct queue_source *s, const char *what, const struct queue_item *item,
                    struct queue_text *out)
{
    size_t len = item->len;
    if (item->kind != QUEUE_ITEM_TEXT)
        return queue_source_fail(s, item->line,
                                 "%s is %s, where one value is wanted: write it behind the colon",
                                 what, queue_item_shape(item));
    if (item->block && len > 0 && item->text[len - 1] == '\n')
        len--;
    if (len == 0)
        return queue_source_fail(s, item->line,
                                 "%s has no value: write it behind the colon, or leave the key out",
                                 what);
    if (item->folded || (item->block && memchr(item->text, '\n', len) != NULL))
        return queue_source_fail(s, item->line, "%s stands on several lines: write it on one%s",
                                 what,
                                 item->folded ? "; a key in the next has to begin below it" : "");
    if (copy(s, item, item->text, len, out) != 0)
        return -1;
    if (strlen(item->text) == item->len && config_text_fault(out->text, false) == NULL)
        return 0;
    return refuse_control(s, what, item, out);
}

char *queue_name_take(const char **text, const char *ends)
{
    const char *p = *text;
    char *name = malloc(strlen(p) + 1);
    size_t len = 0;
    bool quoted = *p == '"';
    if (name == NULL)
        return NULL;
    for (p += quoted; *p != '\0'; p++) {
        if (quoted ? *p == '"' && p[1] != '"' : strchr(ends, *p) != NULL)
            break;
        p += quoted && *p == '"'; /* doubled */
        name[len++] = *p;
    }
    name[len] = '\0';
    if (len == 0 || len > QUEUE_NAME_BYTES || (quoted && *p != '"')) {
        free(name);
        return NULL;
    }
    *text = p + quoted;
    return name;
}

int queue_text_refuse(const struct queue_source *s, const char *what, const char *allowed,
                      const struct queue_text *text)
{
    return queue_source_fail(s, text->line, "%s: \"%.100s\" is not allowed: %s", what, text->text,
                             allowed);
}

int queue_column_take(const struct queue_source *s, const char *what, const struct queue_item *item,
                      struct queue_text *out)
{
    struct queue_text written = {0};
    int rc = queue_line_take(s, what, item, &written);
    if (rc == 0) {
        const char *rest = written.text;
        out->text = queue_name_take(&rest, "");
        out->line = item->line;
        if (out->text == NULL || *rest != '\0') {
            rc = queue_text_refuse(s, what, "a column's name, of 1 to 63 bytes", &written);
            free(out->text);
            out->text = NULL;
        }
    }
    free(written.text);
    return rc;
}

/* What YAML may have shortened or bent: a comment would be gone, or would swallow what comes behind
 * it where lines are put together. */
static const char *bent(const struct queue_item *item)
{
    if (item->comment)
        return "YAML cuts off what stands behind \" #\"";
    if (item->folded)
        return "YAML puts its lines together";
    if (item->block)
        return NULL;
    if (strstr(item->text, "--") != NULL)
        return "\"--\" would begin a comment of SQL";
    if (strstr(item->text, "/*") != NULL)
        return "\"/*\" would begin a comment of SQL";
    return NULL;
}

int queue_sql_take(const struct queue_source *s, const char *what, const struct queue_item *item,
                   struct queue_text *out)
{
    if (item->kind != QUEUE_ITEM_TEXT)
        return queue_source_fail(s, item->line, "%s is %s to YAML, where SQL is wanted: " A_BLOCK,
                                 what, queue_item_shape(item));

    const char *why = bent(item);
    if (why != NULL)
        return queue_source_fail(s, item->line, "%s: %s: " A_BLOCK, what, why);
    if (strlen(item->text) != item->len)
        return queue_source_fail(s, item->line, "%s holds a NUL byte: leave it out", what);

    const char *text = item->text;
    size_t len = item->len;
    for (; len > 0 && isspace((unsigned char)*text); len--)
        text++;
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    if (len == 0)
        return queue_source_fail(s, item->line,
                                 "%s has no value: write the SQL behind the colon, or below it as "
                                 "a | block",
                                 what);
    if (copy(s, item, text, len, out) != 0)
        return -1;
    return config_text_fault(out->text, true) == NULL ? 0 : refuse_control(s, what, item, out);
}
