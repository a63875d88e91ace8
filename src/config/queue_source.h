/* A queues file as items, one after the other: libyaml's events, less what no such file may have,
 * and with what libyaml does not say: where a value was cut off. Nothing here recurses or grows
 * with the depth of what is read. */
#ifndef RS_QUEUE_SOURCE_H
#define RS_QUEUE_SOURCE_H

#include "config/config_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#define QUEUES_FILE_MAX ((size_t)1 << 20)

enum queue_item_kind {
    QUEUE_ITEM_TEXT,
    QUEUE_ITEM_MAPPING, /* its keys and values follow, then _END */
    QUEUE_ITEM_LIST,    /* its items follow, then _END */
    QUEUE_ITEM_END,
    QUEUE_ITEM_DONE, /* the end of the file */
};

struct queue_item {
    enum queue_item_kind kind;
    const char *text; /* of a text: terminated, good until the next item */
    size_t len;
    int line;     /* from 1; 0: built in */
    bool block;   /* a literal block */
    bool folded;  /* on several lines, which YAML puts together */
    bool comment; /* there is text behind " #", which YAML has cut off */
};

struct queue_source {
    yaml_parser_t parser;
    yaml_event_t event;
    const char *file; /* as sentences call it; NULL: built in */
    const char *text;
    size_t len;
    size_t index, at; /* a character of the text, and its byte; they only go forward */
    int documents;
    const struct config_error *error;
};

/* The text, len bytes, stays the caller's, and must be there until the source is closed. Returns 0,
 * or -1 with a sentence: it is too long, or no text at all. To be closed in both cases. */
int queue_source_open(struct queue_source *s, const char *file, const char *text, size_t len,
                      const struct config_error *error) __attribute__((warn_unused_result));
void queue_source_close(struct queue_source *s);

/* The next item. Not to be called again after _DONE. Returns 0, or -1 with a sentence. */
int queue_source_next(struct queue_source *s, struct queue_item *item)
    __attribute__((warn_unused_result));

/* Writes the sentence, with the file and the line before it. Returns -1: queue_source_fail is that
 * for whoever reads the caller alone, compilers and analyzers too. */
int queue_source_say(const struct queue_source *s, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define queue_source_fail(...) (queue_source_say(__VA_ARGS__), -1)

#endif
