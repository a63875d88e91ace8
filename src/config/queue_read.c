/* From a file's text to queues. A mapping's keys are read one after the other; each is looked up in
 * the table of keys, and its value read as the table says. libyaml finds no key that is there
 * twice: that is noted here. What must hold between keys is looked at when a queue ends. */
#include "config/queue_read.h"

#include "config/queue_sql.h"
#include "config/queue_text.h"
#include "config/queue_values.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEE "see docs/CONFIGURATION.md"

static void texts_free(struct queue_text *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i].text);
}

static void table_free(struct queue_table *table)
{
    free(table->schema);
    free(table->name);
    free(table->written);
}

void queue_read_free(struct queue_read *read)
{
    if (read == NULL)
        return;
    struct queue *q = &read->queue;
    struct queue_stock *stock = &q->stock;
    free(q->name);
    table_free(&q->table);
    table_free(&stock->table);
    table_free(&q->call);
    struct queue_text *const single[] = {
        &q->id,          &q->expires_at, &q->quantity, &q->time_zone,      &q->active,
        &q->released,    &stock->free,   &stock->held, &stock->total,      &stock->set,
        &stock->counted, &q->database,   &q->notify,   &q->keep.condition,
    };
    for (size_t i = 0; i < sizeof(single) / sizeof(single[0]); i++)
        free(single[i]->text);
    for (int i = 0; i < QUEUE_KEYS_MAX; i++) {
        free(stock->keys[i].hold.text);
        free(stock->keys[i].counter.text);
    }
    texts_free(q->carry, QUEUE_LIST_MAX);
    texts_free(q->also, QUEUE_LIST_MAX);
    texts_free(q->verify, QUEUE_LIST_MAX);
    for (int i = 0; i < 2 * QUEUE_SETTINGS_MAX; i++)
        free(q->settings.all[i]);
    texts_free(read->overrides, SETTINGS_N);
    free(read);
}

void queue_list_clear(struct queue_list *list)
{
    for (int i = 0; i < list->n; i++)
        queue_read_free(list->all[i]);
    list->n = 0;
}

struct keys {
    const struct queue_key_row *group; /* whose keys are read; NULL: the queue's */
    int seen[QUEUE_KEYS_N];            /* in which line each was, 1 at least; 0: not yet */
};

/* In which line a key was; 0: it was not there. */
static int key_line(const struct keys *keys, const char *name)
{
    for (int i = 0; i < QUEUE_KEYS_N; i++)
        if (strcmp(queue_keys[i].name, name) == 0)
            return keys->seen[i];
    return 0;
}

static int refuse_unknown(const struct queue_reader *r, const struct keys *keys,
                          const struct queue_item *item, const struct queue_key_row *nearest)
{
    const char *group = keys->group == NULL ? "" : keys->group->name;
    return queue_source_fail(
        &r->source, item->line, "queue \"%s\": \"%s%s%.60s\" is no key: the nearest is \"%s\"",
        r->to->queue.name, group, *group == '\0' ? "" : ".", item->text, nearest->name);
}

/* The row of the key that an item is. */
static int key_find(const struct queue_reader *r, const struct keys *keys,
                    const struct queue_item *item, const struct queue_key_row **row)
{
    const struct queue_source *s = &r->source;
    const struct queue_key_row *nearest;
    if (item->kind != QUEUE_ITEM_TEXT)
        return queue_source_fail(s, item->line, "a key is %s: keys are words, " SEE,
                                 queue_item_shape(item));
    if (strcmp(item->text, "<<") == 0)
        return queue_source_fail(s, item->line,
                                 "\"<<\" is not allowed here: write out what it would bring");
    *row = queue_key_find(keys->group, item->text, item->len, &nearest);
    if (*row == NULL)
        return refuse_unknown(r, keys, item, nearest);
    int first = keys->seen[*row - queue_keys];
    return first == 0 ? 0
                      : queue_source_fail(s, item->line,
                                          "queue \"%s\": \"%s\" is there twice, first in line "
                                          "%d: leave one of them out",
                                          r->to->queue.name, (*row)->name, first);
}

/* One key and its value; of a group, its beginning. *end: the queue's mapping has ended. */
static int key_read(struct queue_reader *r, struct keys *keys, bool *end)
{
    struct queue_item item;
    if (queue_source_next(&r->source, &item) != 0)
        return -1;
    if (item.kind == QUEUE_ITEM_END) {
        *end = keys->group == NULL;
        keys->group = NULL;
        return 0;
    }
    const struct queue_key_row *row = NULL;
    if (key_find(r, keys, &item, &row) != 0)
        return -1;
    assert(row != NULL);
    keys->seen[row - queue_keys] = item.line > 0 ? item.line : 1;
    if (queue_source_next(&r->source, &item) != 0)
        return -1;
    if (row->kind != QUEUE_KEY_GROUP)
        return queue_value_read(r, row, &item);
    if (item.kind != QUEUE_ITEM_MAPPING)
        return queue_source_fail(&r->source, item.line,
                                 "%s: a mapping is wanted here, of its own keys, " SEE, row->name);
    keys->group = row;
    return 0;
}

static int check_mandatory(const struct queue_reader *r, const struct keys *keys)
{
    for (int i = 0; i < QUEUE_KEYS_N; i++) {
        const struct queue_key_row *row = &queue_keys[i];
        const struct queue_key_row *group = queue_key_group(row);
        int line = group == NULL ? r->to->queue.line : keys->seen[group - queue_keys];
        bool called = row->kind == QUEUE_KEY_RELEASED && r->to->queue.call.name != NULL;
        bool wanted = row->mandatory && !called && (group == NULL || line != 0);
        if (wanted && keys->seen[i] == 0)
            return queue_source_fail(&r->source, line,
                                     "queue \"%s\": \"%s\" is missing: add it (%s), " SEE,
                                     r->to->queue.name, row->name, row->what);
    }
    return 0;
}

static int check_stock(const struct queue_reader *r)
{
    const struct queue_stock *stock = &r->to->queue.stock;
    if (stock->table.name == NULL)
        return 0;
    if (stock->free.text == NULL && stock->held.text == NULL)
        return queue_source_fail(
            &r->source, stock->table.line,
            "queue \"%s\": neither \"stock.free\" nor \"stock.held\" is there: "
            "add the column that a release changes, or leave \"stock\" out",
            r->to->queue.name);
    if (stock->total.text != NULL && (stock->free.text == NULL || stock->held.text == NULL))
        return queue_source_fail(&r->source, stock->total.line,
                                 "queue \"%s\": \"stock.total\" is the sum of \"stock.free\" and "
                                 "\"stock.held\": add both, or leave it out",
                                 r->to->queue.name);
    return 0;
}

/* A row that is active whatever it holds is active after a release too, unless it is gone. */
static int check_active(const struct queue_reader *r)
{
    const struct queue *q = &r->to->queue;
    if (q->deletes || q->call.name != NULL || strcasecmp(q->active.text, "true") != 0)
        return 0;
    return queue_source_fail(&r->source, q->active.line,
                             "queue \"%s\": active: true would still hold after a release: it is "
                             "allowed only with \"released: delete\" or \"call\"",
                             q->name);
}

/* A function makes the release alone. */
static int check_call(const struct queue_reader *r)
{
    const struct queue *q = &r->to->queue;
    const char *beside = q->released.text != NULL || q->deletes ? "released"
                         : q->nalso > 0                         ? "also"
                                                                : NULL;
    if (q->call.name == NULL || beside == NULL)
        return 0;
    return queue_source_fail(
        &r->source, q->call.line,
        "queue \"%s\": \"call\" is not allowed beside \"%s\": its function makes "
        "the release; leave one of them out",
        q->name, beside);
}

/* The columns of {released} have names that differ. */
static int check_carry(const struct queue_reader *r)
{
    static const char *const own[] = {"id", "quantity", "expires_at"};
    const struct queue *q = &r->to->queue;
    for (int i = 0; i < q->ncarry; i++) {
        bool there = false;
        for (size_t j = 0; j < sizeof(own) / sizeof(own[0]); j++)
            there = there || strcmp(q->carry[i].text, own[j]) == 0;
        for (int j = 0; j < q->stock.nkeys; j++)
            there = there || strcmp(q->carry[i].text, q->stock.keys[j].hold.text) == 0;
        if (there)
            return queue_source_fail(&r->source, q->carry[i].line,
                                     "queue \"%s\": carry: {released} has a column \"%s\" already: "
                                     "leave it out",
                                     q->name, q->carry[i].text);
    }
    return 0;
}

/* keys: which were there. */
static int check_keep(const struct queue_reader *r, const struct keys *keys)
{
    const struct queue *q = &r->to->queue;
    int line = key_line(keys, "keep"), extend = key_line(keys, "keep.extend");
    if (line != 0 && q->keep.condition.text == NULL)
        return queue_source_fail(&r->source, line,
                                 "queue \"%s\": \"keep\" says what becomes of what "
                                 "\"keep_while\" keeps: add that, or leave it out",
                                 q->name);
    if (extend != 0 && key_line(keys, "keep.look_again") != 0)
        return queue_source_fail(&r->source, extend,
                                 "queue \"%s\": a kept reservation is either looked at again or "
                                 "extended: leave \"keep.look_again\" or \"keep.extend\" out",
                                 q->name);
    if (extend != 0 && q->after_us > 0)
        return queue_source_fail(&r->source, extend,
                                 "queue \"%s\": \"keep.extend\" is not allowed with \"after\": "
                                 "use \"keep.look_again\"",
                                 q->name);
    if (q->keep.extend_us > q->keep.at_most_us)
        return queue_source_fail(&r->source, extend,
                                 "queue \"%s\": \"keep.extend\" is longer than \"keep.at_most\", "
                                 "which is how long a reservation is kept at all",
                                 q->name);
    return 0;
}

/* After the defaults: what is assigned is compared with the columns. */
static int check_sql(const struct queue_reader *r)
{
    char why[256];
    int line;
    if (queue_sql_check(&r->to->queue, &line, why, sizeof(why)) == 0)
        return 0;
    return queue_source_fail(&r->source, line, "queue \"%s\": %s", r->to->queue.name, why);
}

/* A default, where nothing was given: sentences about it name the queue's line. */
static int preset(const struct queue_reader *r, struct queue_text *text, const char *value)
{
    if (text->text == NULL)
        *text = (struct queue_text){strdup(value), r->to->queue.line};
    return text->text == NULL ? queue_source_fail(&r->source, 0, "memory ran out") : 0;
}

/* A duration of 0 was not given, or is the default. */
static int preset_duration(const struct queue_reader *r, const struct queue_key_row *row)
{
    const int64_t *us = (const int64_t *)(const void *)((char *)&r->to->queue + row->offset);
    return *us == 0 && row->preset != NULL
               ? queue_duration_set(r->to, row, row->preset, r->source.error)
               : 0;
}

static int presets(const struct queue_reader *r)
{
    for (int i = 0; i < QUEUE_KEYS_N; i++) {
        const struct queue_key_row *row = &queue_keys[i];
        bool text = row->kind == QUEUE_KEY_COLUMN || row->kind == QUEUE_KEY_ZONE;
        if (text && row->preset != NULL &&
            preset(r, (struct queue_text *)(void *)((char *)&r->to->queue + row->offset),
                   row->preset) != 0)
            return -1;
        if (row->kind == QUEUE_KEY_DURATION && preset_duration(r, row) != 0)
            return -1;
    }
    return 0;
}

static bool name_valid(const struct queue_item *item)
{
    return item->len >= 1 && item->len <= QUEUE_NAME_MAX &&
           strspn(item->text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") ==
               item->len;
}

static int name_read(struct queue_reader *r, const struct queue_list *list,
                     const struct queue_item *item)
{
    const struct queue_source *s = &r->source;
    struct queue *q = &r->to->queue;
    if (item->kind != QUEUE_ITEM_TEXT || !name_valid(item))
        return queue_source_fail(
            s, item->line,
            "\"%.60s\" is no name for a queue: 1 to %d letters, digits, - and _ "
            "are allowed",
            item->kind == QUEUE_ITEM_TEXT ? item->text : "{", QUEUE_NAME_MAX);
    for (int i = 0; i < list->n; i++) {
        const struct queue *other = &list->all[i]->queue;
        if (other != q && strcmp(other->name, item->text) == 0)
            return queue_source_fail(s, item->line,
                                     "queue \"%s\" is there twice, first in line %d: give one of "
                                     "them another name",
                                     item->text, other->line);
    }
    q->name = strdup(item->text);
    q->file = s->file;
    q->line = item->line;
    return q->name == NULL ? queue_source_fail(s, item->line, "memory ran out") : 0;
}

/* The queue that begins with its name. */
static int queue_read(struct queue_reader *r, struct queue_list *list,
                      const struct queue_item *name)
{
    struct keys keys = {0};
    struct queue_item item;
    bool end = false;
    if (list->n == QUEUES_MAX)
        return queue_source_fail(&r->source, name->line,
                                 "there are more than %d queues, which is the most", QUEUES_MAX);
    r->to = calloc(1, sizeof(*r->to));
    if (r->to == NULL)
        return queue_source_fail(&r->source, name->line, "memory ran out");
    list->all[list->n++] = r->to;
    if (name_read(r, list, name) != 0 || queue_source_next(&r->source, &item) != 0)
        return -1;
    if (item.kind != QUEUE_ITEM_MAPPING)
        return queue_source_fail(&r->source, item.line,
                                 "queue \"%s\": a mapping is wanted here, of its keys, " SEE,
                                 r->to->queue.name);
    while (!end)
        if (key_read(r, &keys, &end) != 0)
            return -1;
    if (check_mandatory(r, &keys) != 0 || check_stock(r) != 0 || check_active(r) != 0 ||
        check_call(r) != 0 || check_carry(r) != 0)
        return -1;
    return presets(r) != 0 || check_keep(r, &keys) != 0 ? -1 : check_sql(r);
}

static int queues_read(struct queue_reader *r, struct queue_list *list)
{
    struct queue_item item;
    if (queue_source_next(&r->source, &item) != 0)
        return -1;
    bool none = item.kind == QUEUE_ITEM_DONE || (item.kind == QUEUE_ITEM_TEXT && item.len == 0);
    if (!none && item.kind != QUEUE_ITEM_MAPPING)
        return queue_source_fail(&r->source, item.line,
                                 "a mapping is wanted here, of queues by their names, " SEE);
    while (!none) {
        if (queue_source_next(&r->source, &item) != 0)
            return -1;
        if (item.kind == QUEUE_ITEM_END)
            break;
        if (queue_read(r, list, &item) != 0)
            return -1;
    }
    if (list->n == 0)
        return queue_source_fail(&r->source, item.line,
                                 "there is no queue in it: write at least one, " SEE);
    return queue_source_next(&r->source, &item); /* a second document is refused there */
}

int queues_parse(struct queue_list *list, const char *file, const char *text, size_t len,
                 const struct config_error *error)
{
    struct queue_reader r;
    int rc = queue_source_open(&r.source, file, text, len, error);
    if (rc == 0)
        rc = queues_read(&r, list);
    queue_source_close(&r.source);
    return rc;
}
