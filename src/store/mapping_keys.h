/* Names of tables, and what tokens of sql/ become that speak of the keys of counters, of one column
 * or several. */
#ifndef RS_MAPPING_KEYS_H
#define RS_MAPPING_KEYS_H

#include <stddef.h>
#include <stdio.h>

struct mapping_types;
struct pg_link;
struct queue_table;

/* The name of mapping_table as a literal: for regclass, and for sentences; malloc'd. NULL when the
 * link is down or memory ran out. */
char *mapping_table_literal(const struct queue_table *table, struct pg_link *link);

/* Writes what the token stands for, where there are counters. x: any letter, the alias of a
 * relation whose columns rs$k1, rs$k2, ... are a key.
 *   hold_keys, counter_keys   the columns of r, or of i, as such
 *   hold_key, counter_key     the first one, under its own name
 *   k, x_k                    those of a key: rs$k1, rs$k2; x.rs$k1, x.rs$k2
 *   i_is_x                    i is the counter of the key of x
 *   x_key_text, x_key_texts   the key for people, as one text; as one for each column
 *   x_row_key                 as x_key_text, of the hold that x.rs$row is as JSON
 *   told_keys                 the key that an array t.c has from its third element on, as such
 *   params, next_params       $1, $2, ... for a key; from $2 on
 * Returns 0; 1: the token is none of these; -1: memory ran out, or the link is down. */
int mapping_keys_put(FILE *out, const struct mapping_types *types, const char *token, size_t len,
                     struct pg_link *link) __attribute__((warn_unused_result));

#endif
