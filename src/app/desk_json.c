/* Pieces of what the desk answers. */
#include "app/desk_json.h"

#include "base/iso_time.h"
#include "base/json_text.h"
#include "base/parse.h"
#include "base/terminal.h"
#include "base/time_units.h"

#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 80
#define LABEL 13 /* columns, with the blank behind it */

json_t *desk_time(int64_t us)
{
    char text[ISO_TIME_SIZE];
    if (us <= 0 || us == EXPLAIN_NEVER || iso_time(us, text)[0] == '\0')
        return json_null();
    return json_string(text);
}

json_t *desk_time_ms(int64_t ms)
{
    return desk_time(ms > 0 && ms <= INT64_MAX / MS_US ? ms * MS_US : 0);
}

json_t *desk_text(const char *text)
{
    return text != NULL && text[0] != '\0' ? json_text(text) : json_null();
}

json_t *desk_number(const char *text)
{
    int64_t n;
    if (parse_int(text, INT64_MIN, INT64_MAX, &n) == 0)
        return json_integer(n);
    return desk_text(text);
}

void desk_set_blocker(json_t *o, const struct explain_blocker *b)
{
    const struct locked_holder *h = &b->holder;
    if (!h->known)
        return;
    if (h->gid[0] != '\0')
        (void)json_object_set_new(o, "blockerGid", json_text(h->gid));
    else
        (void)json_object_set_new(o, "blockerPid", json_integer(h->pid));
    (void)json_object_set_new(o, "blockerUser", desk_text(h->user));
    (void)json_object_set_new(o, "blockerApplication", desk_text(h->application));
    (void)json_object_set_new(o, "blockerSince", desk_time(b->since_us));
    (void)json_object_set_new(o, "lockOn", json_string(h->what));
}

void desk_set_failure(json_t *o, const struct failed_record *record)
{
    (void)json_object_set_new(o, "sqlstate", desk_text(record->sqlstate));
    (void)json_object_set_new(o, "error", desk_text(record->error));
    (void)json_object_set_new(o, "attempts", json_integer((json_int_t)record->attempts));
    (void)json_object_set_new(o, "firstFailedAt", desk_time_ms(record->first_ms));
    (void)json_object_set_new(o, "lastFailedAt", desk_time_ms(record->last_ms));
    (void)json_object_set_new(o, "retryAt", desk_time_ms(record->retry_ms));
}

char *desk_dump(json_t *o)
{
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

/* The columns of a word of UTF-8. */
static int width(const char *word, size_t len)
{
    int n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)word[i] & 0xC0) != 0x80;
    return n;
}

void desk_print(FILE *out, const char *label, const char *text)
{
    char *copy = strdup(text);
    int column = LABEL, columns = terminal_columns(out);
    if (columns > COLUMNS_MAX)
        columns = COLUMNS_MAX;
    if (copy == NULL || copy[0] == '\0') {
        free(copy);
        return;
    }
    for (char *p = copy; *p != '\0'; p++)
        if (*p == '\n' || *p == '\t') /* of SQL of the operator's */
            *p = ' ';
    terminal_disarm(copy);
    fprintf(out, "%-*s", LABEL, label);
    for (const char *p = copy + strspn(copy, " "); *p != '\0'; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        int n = width(p, len);
        if (column > LABEL && column + 1 + n > columns) {
            fprintf(out, "\n%*s", LABEL, "");
            column = LABEL;
        } else if (column > LABEL) {
            fputc(' ', out);
            column++;
        }
        fwrite(p, 1, len, out);
        column += n;
        p += len;
    }
    fputc('\n', out);
    free(copy);
}

const char *desk_string(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text != NULL ? text : "";
}
