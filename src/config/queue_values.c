/* The values of a queue's keys: one reader for each kind. What is refused here is wrong whatever
 * the database is. */
#include "config/queue_values.h"

#include "config/queue_settings.h"
#include "config/queue_text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void *field(const struct queue_reader *r, const struct queue_key_row *row)
{
    return (char *)&r->to->queue + row->offset;
}

static int read_column(struct queue_reader *r, const struct queue_key_row *row,
                       const struct queue_item *item)
{
    return queue_column_take(&r->source, row->name, item, field(r, row));
}

static int take_qualified(struct queue_reader *r, const struct queue_key_row *row,
                          const struct queue_item *item, const char *allowed)
{
    struct queue_table *table = field(r, row);
    struct queue_text written = {0};
    if (queue_line_take(&r->source, row->name, item, &written) != 0)
        return -1;
    table->written = written.text;
    table->line = written.line;

    const char *rest = written.text;
    table->name = queue_name_take(&rest, ".");
    if (table->name != NULL && *rest == '.') {
        rest++;
        table->schema = table->name;
        table->name = queue_name_take(&rest, ".");
    }
    return table->name != NULL && *rest == '\0'
               ? 0
               : queue_text_refuse(&r->source, row->name, allowed, &written);
}

static int read_table(struct queue_reader *r, const struct queue_key_row *row,
                      const struct queue_item *item)
{
    return take_qualified(r, row, item,
                          "table or schema.table, of 1 to 63 bytes each; a name with a dot: "
                          "'\"my.table\"'");
}

static int read_function(struct queue_reader *r, const struct queue_key_row *row,
                         const struct queue_item *item)
{
    return take_qualified(r, row, item,
                          "function or schema.function, of 1 to 63 bytes each, without brackets");
}

static int read_units(struct queue_reader *r, const struct queue_key_row *row,
                      const struct queue_item *item)
{
    struct queue_text *out = field(r, row);
    if (queue_column_take(&r->source, row->name, item, out) != 0)
        return -1;
    if (strcmp(out->text, "1") == 0) {
        free(out->text);
        out->text = NULL;
        return 0;
    }
    return out->text[strspn(out->text, "0123456789.+-")] != '\0'
               ? 0
               : queue_text_refuse(&r->source, row->name, "a column, or 1", out);
}

static int read_database(struct queue_reader *r, const struct queue_key_row *row,
                         const struct queue_item *item)
{
    struct queue_text *out = field(r, row);
    if (queue_line_take(&r->source, row->name, item, out) != 0)
        return -1;
    return strlen(out->text) <= QUEUE_NAME_BYTES &&
                   out->text[strspn(out->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == '\0'
               ? 0
               : queue_text_refuse(&r->source, row->name, "1 to 63 of A-Z, digits and _", out);
}

static int read_zone(struct queue_reader *r, const struct queue_key_row *row,
                     const struct queue_item *item)
{
    struct queue_text *out = field(r, row);
    if (queue_line_take(&r->source, row->name, item, out) != 0)
        return -1;
    return strlen(out->text) <= QUEUE_NAME_BYTES
               ? 0
               : queue_text_refuse(&r->source, row->name,
                                   "a time zone's name, such as Europe/Berlin", out);
}

static int read_channel(struct queue_reader *r, const struct queue_key_row *row,
                        const struct queue_item *item)
{
    struct queue_text *out = field(r, row);
    if (queue_line_take(&r->source, row->name, item, out) != 0)
        return -1;
    return strlen(out->text) <= QUEUE_NAME_BYTES
               ? 0
               : queue_text_refuse(&r->source, row->name, "a channel's name, of 1 to 63 bytes",
                                   out);
}

static int read_unit(struct queue_reader *r, const struct queue_key_row *row,
                     const struct queue_item *item)
{
    struct queue_text text = {0};
    enum queue_expires_unit *unit = field(r, row);
    if (queue_line_take(&r->source, row->name, item, &text) != 0)
        return -1;
    *unit = strcmp(text.text, "ms") == 0  ? QUEUE_EXPIRES_MS
            : strcmp(text.text, "s") == 0 ? QUEUE_EXPIRES_S
                                          : QUEUE_EXPIRES_TIME;
    int rc = *unit == QUEUE_EXPIRES_TIME
                 ? queue_text_refuse(&r->source, row->name, "ms or s", &text)
                 : 0;
    free(text.text);
    return rc;
}

/* By the parser of settings, with its sentences. */
int queue_duration_set(struct queue_read *to, const struct queue_key_row *row, const char *text,
                       const struct config_error *error)
{
    struct config scratch = {0};
    int rc = setting_apply(&scratch, &queue_durations[row->setting], row->name, text, error);
    *(int64_t *)(void *)((char *)&to->queue + row->offset) = scratch.max_sleep_us;
    return rc;
}

static int read_then(struct queue_reader *r, const struct queue_key_row *row,
                     const struct queue_item *item)
{
    struct queue_text text = {0};
    bool *ends = field(r, row);
    if (queue_line_take(&r->source, row->name, item, &text) != 0)
        return -1;
    *ends = strcmp(text.text, "release") == 0;
    int rc = *ends || strcmp(text.text, "attention") == 0
                 ? 0
                 : queue_text_refuse(&r->source, row->name, "attention or release", &text);
    free(text.text);
    return rc;
}

static int read_duration(struct queue_reader *r, const struct queue_key_row *row,
                         const struct queue_item *item)
{
    struct queue_text text = {0};
    char sentence[400];
    if (queue_line_take(&r->source, row->name, item, &text) != 0)
        return -1;
    int rc = queue_duration_set(r->to, row, text.text,
                                &(struct config_error){sentence, sizeof(sentence)});
    if (rc != 0)
        rc = queue_source_fail(&r->source, item->line, "%s", sentence);
    free(text.text);
    return rc;
}

static int read_setting(struct queue_reader *r, const struct queue_key_row *row,
                        const struct queue_item *item)
{
    return queue_line_take(&r->source, row->name, item, &r->to->overrides[row->setting]);
}

static int read_sql(struct queue_reader *r, const struct queue_key_row *row,
                    const struct queue_item *item)
{
    return queue_sql_take(&r->source, row->name, item, field(r, row));
}

static int read_released(struct queue_reader *r, const struct queue_key_row *row,
                         const struct queue_item *item)
{
    struct queue_text *out = field(r, row);
    if (queue_sql_take(&r->source, row->name, item, out) != 0)
        return -1;
    if (strcasecmp(out->text, "delete") != 0)
        return 0;
    free(out->text);
    out->text = NULL;
    r->to->queue.deletes = true;
    return 0;
}

/* The next item of a list or mapping that began with one of this kind; *end: there is none. */
static int next_of(struct queue_reader *r, const struct queue_key_row *row, int n, int most,
                   struct queue_item *item, bool *end)
{
    if (queue_source_next(&r->source, item) != 0)
        return -1;
    *end = item->kind == QUEUE_ITEM_END;
    if (*end && n == 0)
        return queue_source_fail(&r->source, item->line,
                                 "%s is empty: write what belongs there, or leave the key out",
                                 row->name);
    if (!*end && n == most)
        return queue_source_fail(&r->source, item->line,
                                 "%s: there are more than %d; %d is the most", row->name, most,
                                 most);
    return 0;
}

static int want(const struct queue_reader *r, const struct queue_key_row *row,
                const struct queue_item *item, enum queue_item_kind kind, const char *how)
{
    if (item->kind == kind)
        return 0;
    return queue_source_fail(&r->source, item->line, "%s: %s is wanted here: %s", row->name,
                             kind == QUEUE_ITEM_LIST ? "a list" : "a mapping", how);
}

static int check_twice(const struct queue_reader *r, const struct queue_key_row *row,
                       const struct queue_text *former, const struct queue_text *text)
{
    if (strcmp(former->text, text->text) != 0)
        return 0;
    return queue_source_fail(&r->source, text->line,
                             "%s: \"%.63s\" is there twice: leave one of them out", row->name,
                             text->text);
}

static int read_keys(struct queue_reader *r, const struct queue_key_row *row,
                     const struct queue_item *first)
{
    struct queue_stock *stock = &r->to->queue.stock;
    if (want(r, row, first, QUEUE_ITEM_MAPPING, "{hold column: counter column}") != 0)
        return -1;
    for (;;) {
        struct queue_key *key = &stock->keys[stock->nkeys];
        struct queue_item item;
        bool end;
        if (next_of(r, row, stock->nkeys, QUEUE_KEYS_MAX, &item, &end) != 0)
            return -1;
        if (end)
            return 0;
        if (queue_column_take(&r->source, row->name, &item, &key->hold) != 0 ||
            queue_source_next(&r->source, &item) != 0 ||
            queue_column_take(&r->source, row->name, &item, &key->counter) != 0)
            return -1;
        for (int i = 0; i < stock->nkeys; i++)
            if (check_twice(r, row, &stock->keys[i].hold, &key->hold) != 0 ||
                check_twice(r, row, &stock->keys[i].counter, &key->counter) != 0)
                return -1;
        stock->nkeys++;
    }
}

static int read_columns(struct queue_reader *r, const struct queue_key_row *row,
                        const struct queue_item *first)
{
    struct queue *q = &r->to->queue;
    if (want(r, row, first, QUEUE_ITEM_LIST, "[column, column]") != 0)
        return -1;
    for (;;) {
        struct queue_item item;
        bool end;
        if (next_of(r, row, q->ncarry, QUEUE_LIST_MAX, &item, &end) != 0)
            return -1;
        if (end)
            return 0;
        if (queue_column_take(&r->source, row->name, &item, &q->carry[q->ncarry]) != 0)
            return -1;
        for (int i = 0; i < q->ncarry; i++)
            if (check_twice(r, row, &q->carry[i], &q->carry[q->ncarry]) != 0)
                return -1;
        q->ncarry++;
    }
}

static int read_texts(struct queue_reader *r, const struct queue_key_row *row,
                      const struct queue_item *first, struct queue_text list[QUEUE_LIST_MAX],
                      int *n)
{
    if (want(r, row, first, QUEUE_ITEM_LIST, "each of them is an item, - | and a block") != 0)
        return -1;
    for (;;) {
        struct queue_item item;
        bool end;
        if (next_of(r, row, *n, QUEUE_LIST_MAX, &item, &end) != 0)
            return -1;
        if (end)
            return 0;
        if (queue_sql_take(&r->source, row->name, &item, &list[*n]) != 0)
            return -1;
        (*n)++;
    }
}

static int read_statements(struct queue_reader *r, const struct queue_key_row *row,
                           const struct queue_item *first)
{
    struct queue *q = &r->to->queue;
    return read_texts(r, row, first, q->also, &q->nalso);
}

static int read_queries(struct queue_reader *r, const struct queue_key_row *row,
                        const struct queue_item *first)
{
    struct queue *q = &r->to->queue;
    return read_texts(r, row, first, q->verify, &q->nverify);
}

/* Copies a line of the file. NULL: a sentence was said. */
static char *take_line(struct queue_reader *r, const struct queue_key_row *row,
                       const struct queue_item *item)
{
    struct queue_text text = {0};
    return queue_line_take(&r->source, row->name, item, &text) == 0 ? text.text : NULL;
}

static int check_setting(const struct queue_reader *r, const struct queue_key_row *row,
                         const struct queue_settings *own, int line)
{
    const char *name = own->all[2 * own->n];
    const char *fault = queue_setting_fault(name);
    for (int i = 0; i < own->n; i++)
        if (strcasecmp(own->all[2 * i], name) == 0)
            fault = "it is there twice: leave one of them out";
    return fault == NULL ? 0
                         : queue_source_fail(&r->source, line, "%s: \"%.63s\" is not allowed: %s",
                                             row->name, name, fault);
}

static int read_settings(struct queue_reader *r, const struct queue_key_row *row,
                         const struct queue_item *first)
{
    struct queue_settings *own = &r->to->queue.settings;
    own->line = first->line;
    if (want(r, row, first, QUEUE_ITEM_MAPPING, "{name: value}") != 0)
        return -1;
    for (;;) {
        char **pair = &own->all[2 * own->n];
        struct queue_item item;
        bool end;
        if (next_of(r, row, own->n, QUEUE_SETTINGS_MAX, &item, &end) != 0)
            return -1;
        if (end)
            return 0;
        if ((pair[0] = take_line(r, row, &item)) == NULL ||
            check_setting(r, row, own, item.line) != 0 ||
            queue_source_next(&r->source, &item) != 0 ||
            (pair[1] = take_line(r, row, &item)) == NULL)
            return -1;
        own->n++;
    }
}

int queue_value_read(struct queue_reader *r, const struct queue_key_row *row,
                     const struct queue_item *item)
{
    static int (*const readers[])(struct queue_reader *, const struct queue_key_row *,
                                  const struct queue_item *) = {
        [QUEUE_KEY_TABLE] = read_table,       [QUEUE_KEY_COLUMN] = read_column,
        [QUEUE_KEY_UNITS] = read_units,       [QUEUE_KEY_UNIT] = read_unit,
        [QUEUE_KEY_ZONE] = read_zone,         [QUEUE_KEY_DURATION] = read_duration,
        [QUEUE_KEY_THEN] = read_then,         [QUEUE_KEY_SQL] = read_sql,
        [QUEUE_KEY_RELEASED] = read_released, [QUEUE_KEY_KEYS] = read_keys,
        [QUEUE_KEY_COLUMNS] = read_columns,   [QUEUE_KEY_DATABASE] = read_database,
        [QUEUE_KEY_SETTING] = read_setting,   [QUEUE_KEY_STATEMENTS] = read_statements,
        [QUEUE_KEY_QUERIES] = read_queries,   [QUEUE_KEY_SETTINGS] = read_settings,
        [QUEUE_KEY_FUNCTION] = read_function, [QUEUE_KEY_CHANNEL] = read_channel,
    };
    return readers[row->kind](r, row, item);
}
