/* What the files of a list share: desk_list.c has its course, desk_find.c what it asks
 * Postgres, and what both need. */
#ifndef RS_DESK_LIST_PRIVATE_H
#define RS_DESK_LIST_PRIVATE_H

#include "app/desk.h"
#include "app/desk_list.h"

struct desk_list {
    struct desk desk; /* first */
    struct desk_work work;
    struct desk_wish wish;
    struct desk_found found;
    char *cursor; /* of a walk; NULL: not begun */
    bool kept;    /* what is walked through */
    size_t at;    /* the first line of the next question */
    size_t n;     /* ... that are asked about */
    void (*done)(void *arg, struct desk_found *found);
    void *arg;
};

/* Postgres could not be asked, though it is needed, or Redis. */
void desk_list_fail(struct desk_list *l, const char *what, const char *why);

/* The lines are there, but not all is known of them. */
void desk_list_unknown(struct desk_list *l, const char *what, const char *why);

/* Whether the work goes on: nothing has gone wrong. */
bool desk_list_well(const struct desk_list *l);

/* It is this list that is shown. */
bool desk_list_shows(const struct desk_list *l, enum list_what what);

/* The next n lines at most from l->at on, as an array of their ids in text form; l->n: how many.
 * NULL: out of memory. */
char *desk_list_ids(struct desk_list *l, size_t n);

/* Steps: the oldest that are due, with a product of each; who has each locked, up to the limit; the
 * products of all lines that are there, where they are asked for, or shown. */
desk_step desk_find_due;
desk_step desk_find_locked;
desk_step desk_find_products;

#endif
