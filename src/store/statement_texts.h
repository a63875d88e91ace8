/* The texts of all statements of a queue. */
#ifndef RS_STATEMENT_TEXTS_H
#define RS_STATEMENT_TEXTS_H

#include "config/queue.h"
#include "store/statements.h"

struct statement_texts {
    char *own[STATEMENT_COUNT]; /* "": the queue has no use for it */
    char *also[QUEUE_LIST_MAX];
    char *verify[QUEUE_LIST_MAX];
};

/* Makes them all, where there are none. Returns 0; -1: memory ran out, or the link is down, and
 * some may be there, to be cleared. */
int statement_texts_make(struct statement_texts *texts, const struct mapping_types *types,
                         struct pg_link *link) __attribute__((warn_unused_result));
void statement_texts_clear(struct statement_texts *texts);

#endif
