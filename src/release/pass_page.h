/* A page of a pass: the reservations of its rows, each once, in one block of memory.
 *
 * Where the page says where its rows lie, they are in that order, so that a slice of it is
 * neighbours in Postgres: a place that is read brings the next ones along. */
#ifndef RS_PASS_PAGE_H
#define RS_PASS_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct config;
struct item;
struct pages;
struct keeps;
struct pass_result;
struct refusals;

struct pass_page {
    TAILQ_ENTRY(pass_page) others;
    struct item *items;
    size_t n, next; /* those before `next` have been handed to lanes */
    int slices;     /* ... and so many lanes are at work on them */
    int telling;    /* so many drops have no answer of Redis's, and need the page */
    bool asking;    /* ... of one question to Redis, before it is handed to lanes */
    bool placed;    /* the items know where their rows lie */
    void *owner;    /* whoever made it */
};

/* Takes the first n rows of the page at hand (pages.h); the rows of an id make one item. Those
 * whose back-off has not gone by are left out, and counted in *result; so are those that were kept
 * a moment ago, unless keeps is NULL. NULL: out of memory. */
struct pass_page *pass_page_new(const struct pages *pages, size_t n,
                                const struct refusals *refusals, const struct keeps *keeps,
                                struct pass_result *result);
void pass_page_free(struct pass_page *page); /* NULL is legal */

/* How many of a page go into one transaction: by their places many more. */
size_t pass_page_slice(const struct config *config, bool placed);

/* The rows of a pass's first page. */
int pass_page_first(const struct config *config, bool placed);

#endif
