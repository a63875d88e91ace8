/* The rights that plans (EXPLAIN VERBOSE) ask for: of each table and sequence once. */
#ifndef RS_PLAN_GRANTS_H
#define RS_PLAN_GRANTS_H

#include <stddef.h>
#include <stdio.h>

struct pg_result;

enum plan_right {
    PLAN_SELECT = 1,
    PLAN_INSERT = 2,
    PLAN_UPDATE = 4,
    PLAN_DELETE = 8,
    PLAN_USAGE = 16, /* of a sequence */
};

/* All zero to begin with. */
struct plan_grants {
    struct plan_grant {
        char *name;      /* as SQL has it */
        unsigned rights; /* of enum plan_right */
        unsigned given;  /* of these: what is granted by another line */
    } * all;
    size_t n;
};

/* Notes that a table's rights need no line. -1: memory ran out. */
int plan_grants_given(struct plan_grants *g, const char *table, unsigned rights)
    __attribute__((warn_unused_result));

/* Adds what a plan reads and changes. Of a table in parts it names the parts. -1: memory ran
 * out. */
int plan_grants_add(struct plan_grants *g, const struct pg_result *plan)
    __attribute__((warn_unused_result));

/* Writes a line for each, in the order in which they came. */
void plan_grants_print(const struct plan_grants *g, const char *role, FILE *out);

void plan_grants_clear(struct plan_grants *g);

/* The next sequence that a line of a verbose plan takes a number from, as SQL names it, of *len
 * bytes in the line; moves *line behind it. NULL: there is none. */
const char *plan_sequence(const char **line, int *len);

#endif
