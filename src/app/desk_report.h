/* What --list, --retry and --forget say, and their routes. */
#ifndef RS_DESK_REPORT_H
#define RS_DESK_REPORT_H

#include "app/desk_list.h"

#include <jansson.h>
#include <stdio.h>

/* One line of a list of a queue; NULL: out of memory. The caller owns it. */
json_t *desk_line_json(const struct desk_line *line, const char *queue, enum list_what what);

/* The same for people, of several queues or of one. */
void desk_line_print(const json_t *line, enum list_what what, bool several, FILE *out);

/* The lines of n queues, in one order. */
struct desk_page {
    struct {
        const struct desk_line *line;
        const char *queue;
    } * lines; /* owned */
    size_t n;
    bool more; /* there are more than these */
};

/* The first `limit` of all. Returns 0; -1: out of memory. To be freed in both cases. */
int desk_page_make(struct desk_page *page, const struct desk_found *const *found, int n,
                   size_t limit) __attribute__((warn_unused_result));
void desk_page_free(struct desk_page *page);

/* {"failures": [...], "next": ...}; malloc'd, NULL: out of memory. */
char *desk_page_json(const struct desk_page *page, enum list_what what);

/* Whether all of n queues could be asked. */
bool desk_well(const struct desk_found *const *found, int n);

/* After a look: whether more than one of n queues has a record of the id. Then the sentence that
 * says so; how: by what one is chosen. */
bool desk_several(const struct desk_found *const *found, int n, const char *id, const char *how,
                  char *out, size_t size);

/* {"retriedCount": 3}, or forgottenCount, with what each of several queues had, and the first
 * error; malloc'd, NULL: out of memory. *status: of HTTP. */
char *desk_done_json(const struct desk_found *const *found, int n, enum desk_act act, int *status);

/* The record of it: INFO, what was done; before it an ERROR for each queue of which nothing, or not
 * all, was. id: the one that was asked for, NULL: all of them. Returns whether there was no ERROR.
 */
bool desk_done_log(const struct desk_found *const *found, int n, enum desk_act act, const char *id);

#endif
