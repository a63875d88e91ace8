/* The keys of a queue: one table drives what is read (queue_read.c), which key was meant by a
 * misspelt one, and the table of docs/CONFIGURATION.md. */
#ifndef RS_QUEUE_KEYS_H
#define RS_QUEUE_KEYS_H

#include "config/config_table.h"
#include "config/queue.h"

#include <stddef.h>

/* What a key's value is: queue_values.c has a reader for each. */
enum queue_key_kind {
    QUEUE_KEY_TABLE,      /* struct queue_table */
    QUEUE_KEY_COLUMN,     /* struct queue_text */
    QUEUE_KEY_UNITS,      /* struct queue_text: a column, or 1 */
    QUEUE_KEY_UNIT,       /* enum queue_expires_unit */
    QUEUE_KEY_ZONE,       /* struct queue_text */
    QUEUE_KEY_DURATION,   /* int64_t, microseconds */
    QUEUE_KEY_THEN,       /* bool: `release` */
    QUEUE_KEY_SQL,        /* struct queue_text */
    QUEUE_KEY_RELEASED,   /* struct queue_text, or deletes */
    QUEUE_KEY_GROUP,      /* a mapping with keys of this table */
    QUEUE_KEY_KEYS,       /* stock.keys, nkeys */
    QUEUE_KEY_COLUMNS,    /* carry, ncarry */
    QUEUE_KEY_STATEMENTS, /* also, nalso */
    QUEUE_KEY_QUERIES,    /* verify, nverify */
    QUEUE_KEY_DATABASE,   /* struct queue_text */
    QUEUE_KEY_FUNCTION,   /* struct queue_table */
    QUEUE_KEY_SETTINGS,   /* settings */
    QUEUE_KEY_CHANNEL,    /* struct queue_text */
    QUEUE_KEY_SETTING,    /* the queue's own value of a setting */
};

struct queue_key_row {
    const char *name; /* "active"; within a group "stock.free" */
    enum queue_key_kind kind;
    bool mandatory;     /* of those within a group: if the group is there */
    size_t offset;      /* within struct queue, of what the kind says */
    int setting;        /* _SETTING: its place in the table of settings; _DURATION: its limits */
    const char *what;   /* what it is; NULL: as the setting says */
    const char *preset; /* the default; NULL: none */
    const char *help;   /* with `code` marked as in Markdown */
};

#define QUEUE_KEYS_N 38
extern const struct queue_key_row queue_keys[QUEUE_KEYS_N];

/* The queue that is served without a file, as a file would say it. */
extern const char queue_builtin[];

/* The durations, with their defaults and limits; NULL as a default: none. */
enum queue_duration { QUEUE_AFTER, QUEUE_LOOK_AGAIN, QUEUE_EXTEND, QUEUE_AT_MOST, QUEUE_DURATIONS };
extern const struct setting queue_durations[QUEUE_DURATIONS];

/* The group's row of a key within it, or NULL. */
const struct queue_key_row *queue_key_group(const struct queue_key_row *row);

/* The row of a key, len bytes, of a group (NULL: of the queue itself), or NULL: then *nearest is
 * the row that is most like it. */
const struct queue_key_row *queue_key_find(const struct queue_key_row *group, const char *text,
                                           size_t len, const struct queue_key_row **nearest);

/* The table of docs/CONFIGURATION.md, and what is built in. */
void queue_keys_print(FILE *out);

#endif
