/* Finds the reservations of a list, in one queue, and does about them what is asked: retries,
 * forgets. */
#ifndef RS_DESK_LIST_H
#define RS_DESK_LIST_H

#include "app/desk_lines.h"
#include "config/config.h"
#include "link/pg_link.h"

#include <stdbool.h>
#include <stddef.h>

struct desk_list;
struct parts;

enum desk_act { DESK_SHOW, DESK_RETRY, DESK_FORGET };

/* What is wanted, of each queue that is asked; borrowed until it is done. */
struct desk_wish {
    enum desk_act act;
    enum list_what what;            /* DESK_SHOW */
    const char *id;                 /* the others: that one; NULL: all */
    bool look;                      /* ... of that one: only look whether it has a record */
    const char *product, *sqlstate; /* NULL: any */
    const struct desk_place *after; /* NULL: from the first */
    size_t limit;                   /* 0: all */
};

/* Good until the list is freed. */
struct desk_found {
    const struct config *config;       /* the queue's */
    struct desk_lines lines;           /* DESK_SHOW; in order, the first `limit` */
    size_t done;                       /* retried, or forgotten */
    size_t claimed;                    /* ... not retried: somebody has it at this moment */
    bool has;                          /* after a look: there is a record that can be acted upon */
    char error[PG_REASON_SIZE];        /* why it could not be done; "" */
    bool away;                         /* ... a server is out of reach */
    char unknown[PG_REASON_SIZE + 64]; /* what is not known of the lines, and why; "" */
};

/* parts: of the queue. done fires once, on a later turn. NULL: out of memory. */
struct desk_list *desk_list_new(struct parts *parts, const struct desk_wish *wish,
                                void (*done)(void *arg, struct desk_found *found), void *arg);

/* Ends it: done is not called any more. Allowed in done; NULL is legal. */
void desk_list_free(struct desk_list *l);

#endif
