/* What was released, on its way to the operator's own statements (`also`): from the release, in a
 * setting of the transaction, to the relation that {released} names. */
#ifndef RS_ALSO_H
#define RS_ALSO_H

#include <stddef.h>
#include <stdio.h>

struct catalog;
struct mapping_types;
struct pg_link;

/* Lists the columns of {released} in types, which refer to the catalog then. */
void also_read(const struct catalog *c, struct mapping_types *types);

/* Writes what the token stands for, of a queue with `also`:
 *   also_seen   the columns of r that are told, as texts rs$a1, rs$a2, ...
 *   also_told   of s, what makes a JSON object of them: names, each with an array of texts
 * Returns 0; 1: the token is none of these; -1: memory ran out, or the link is down. */
int also_put(FILE *out, const struct mapping_types *types, const char *token, size_t len,
             struct pg_link *link) __attribute__((warn_unused_result));

/* The operator's statement number i, from 0, as it is sent; malloc'd. NULL: memory ran out, or the
 * link is down. */
char *also_render(const struct mapping_types *types, int i, struct pg_link *link)
    __attribute__((warn_unused_result));

#endif
