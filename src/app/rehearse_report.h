/* What --rehearse prints of one queue: lines to read, or one JSON object. */
#ifndef RS_REHEARSE_REPORT_H
#define RS_REHEARSE_REPORT_H

#include "config/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct item;
struct rehearsal_result;
struct units;

struct rehearse_report {
    const struct queue *queue;
    bool json;
    struct rehearse_list {
        FILE *out;
        char *text;
        size_t size;
        int n;
    } reservations, changes;      /* both are filled at once */
    int64_t also[QUEUE_LIST_MAX]; /* rows that each statement changed */
    int released, refused;
    char error[1024]; /* the first refusal; "": none */
};

/* Zeroed before. Returns 0, or -1: out of memory; to be ended in both cases. */
int rehearse_report_begin(struct rehearse_report *r, const struct queue *queue, bool json)
    __attribute__((warn_unused_result));

/* What the rehearsal of n reservations came to: what it changed; or, of one alone, why it was
 * refused. */
void rehearse_report_add(struct rehearse_report *r, struct item *const *items, size_t n,
                         const struct rehearsal_result *result);

/* Prints it all. error: why nothing, or no more, was rehearsed; NULL. */
void rehearse_report_end(struct rehearse_report *r, const char *error);

#endif
