/* What SQL assignments assign, "status = 'released', updated_at = now()", for what has to be said
 * of them: which columns need a grant, what a constraint says of them. Whether they are assignments
 * at all is for Postgres to say. */
#ifndef RS_ASSIGNMENTS_H
#define RS_ASSIGNMENTS_H

#include <stdbool.h>
#include <stddef.h>

struct assignment {
    char *column; /* as the catalog has it */
    char *value;  /* as it was written */
};

struct assignments {
    struct assignment *list;
    size_t n;
};

/* Takes them apart. Returns 0; -1: out of memory; 1: they are of another form, such as
 * "(a, b) = (1, 2)" or "a[1] = 2". *out is to be cleared when 0 was returned. */
int assignments_read(struct assignments *out, const char *sql) __attribute__((warn_unused_result));

/* Frees what is in it; zeroed is legal. */
void assignments_clear(struct assignments *a);

/* Whether one of them assigns this column. */
bool assignments_have(const struct assignments *a, const char *column);

#endif
