/* Makes a statement out of parts: see parts.c. */
#ifndef RS_PARTS_H
#define RS_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Something that parts are chosen by: of the tables, or the form of the statement. */
struct parts_fact {
    const char *name;
    bool holds;
};

struct parts {
    const char *shared; /* a text of parts that every statement may use, after its own */
    const struct parts_fact *facts;
    size_t n_facts;
    /* Writes what a token that is no part stands for: a value, which is not looked into. Returns 0,
     * or -1 when it cannot be had. */
    int (*put_value)(void *arg, FILE *out, const char *token, size_t len);
    void *arg; /* passed to put_value */
};

/* Renders the statement at the head of a text. malloc'd; NULL when put_value failed or memory ran
 * out: a statement is whole, or there is none. What is wrong in the text itself is an error of the
 * program (assert). */
char *parts_render(const char *text, const struct parts *parts);

#endif
