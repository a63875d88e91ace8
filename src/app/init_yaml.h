/* Names and comments as they stand in a queues file, whatever bytes they have: what is written here
 * the file's reader gives back, and nothing of it can become another line. */
#ifndef RS_INIT_YAML_H
#define RS_INIT_YAML_H

#include <stdbool.h>
#include <stdio.h>

/* Whether the reader takes a name: it has no control character. The text is UTF-8. */
bool init_yaml_takes(const char *name);

/* A column's name; a table's, with its schema unless that is NULL. */
void init_yaml_column(FILE *out, const char *name);
void init_yaml_table(FILE *out, const char *schema, const char *table);

/* A sentence as comments, in lines of at most 100 bytes where its words allow it. What is no
 * ordinary character becomes a question mark. */
void init_yaml_comment(FILE *out, const char *indent, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A line that is a comment as it stands, with its blanks. */
void init_yaml_idea(FILE *out, const char *indent, const char *line);

#endif
