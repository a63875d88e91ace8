/* An array as Postgres reads it, {"a","b"}, element by element: what one parameter of a statement
 * takes for many values. */
#ifndef RS_PG_ARRAY_H
#define RS_PG_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed, it is an array without elements. */
struct pg_array {
    char *text; /* without the last brace; NULL: no element yet */
    size_t len, room;
    bool failed; /* memory ran out: pg_array_finish says so */
};

/* Adds an element of len bytes, which are none of them NUL; they are quoted, and copied. */
void pg_array_add(struct pg_array *a, const char *element, size_t len);

/* Adds each word of SQL, and each name in quotes, without these, as the catalog has names. */
void pg_array_add_names(struct pg_array *a, const char *sql);

/* The array's text, malloc'd, which ends the array; NULL when memory ran out on the way. */
char *pg_array_finish(struct pg_array *a) __attribute__((warn_unused_result));

#endif
