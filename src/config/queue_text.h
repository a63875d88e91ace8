/* The texts of a queues file: a line, a name, a piece of SQL. */
#ifndef RS_QUEUE_TEXT_H
#define RS_QUEUE_TEXT_H

#include "config/queue.h"
#include "config/queue_source.h"

#define QUEUE_NAME_BYTES 63 /* of Postgres's names */

/* Each copies a text into *out, which is the caller's to free. `what` begins the sentence about it.
 * They return 0, or -1 with a sentence, and then out->text is NULL. */

/* One line, not empty, without control characters. */
int queue_line_take(const struct queue_source *s, const char *what, const struct queue_item *item,
                    struct queue_text *out) __attribute__((warn_unused_result));

/* A column's name, as it stands or in SQL's quotes. */
int queue_column_take(const struct queue_source *s, const char *what, const struct queue_item *item,
                      struct queue_text *out) __attribute__((warn_unused_result));

/* SQL, without blanks around it, which YAML has neither shortened nor bent. */
int queue_sql_take(const struct queue_source *s, const char *what, const struct queue_item *item,
                   struct queue_text *out) __attribute__((warn_unused_result));

/* Takes a name off the front of *text: in SQL's quotes, or up to one of `ends`. malloc'd; NULL: it
 * is no name, or memory ran out. */
char *queue_name_take(const char **text, const char *ends) __attribute__((warn_unused_result));

/* Says what is allowed in place of a text. Returns -1. */
int queue_text_refuse(const struct queue_source *s, const char *what, const char *allowed,
                      const struct queue_text *text) __attribute__((warn_unused_result));

/* "a mapping" or "a list". */
const char *queue_item_shape(const struct queue_item *item);

#endif
