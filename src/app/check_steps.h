/* The steps of the check of the database; check_postgres.c has their order. */
#ifndef RS_CHECK_STEPS_H
#define RS_CHECK_STEPS_H

#include "app/check_ask.h"

check_step check_server;     /* check_catalog.c: role, connections, encodings */
check_step check_tables;     /* ... the two tables, as the catalog has them */
check_step check_guards;     /* ... policies, triggers and rules */
check_step check_seen;       /* ... what row security lets the role see */
check_step check_keep;       /* check_keep.c: what row security hides from `keep_while` */
check_step check_statements; /* check_statements.c: each statement, by EXPLAIN */
check_step check_states;     /* check_states.c: whether a row may become released */
check_step check_rows;       /* check_rows.c: what is in the tables */
check_step check_overlap;    /* check_overlap.c: rows that another queue has too */
check_step check_doubled;    /* check_counters.c: two counters of a key */
check_step check_totals;     /* ... totals that are no sums */
check_step check_due;        /* ... what is due now, and since when */
check_step check_indexes;    /* check_indexes.c: what they make cheap or dear */

/* Frees what check_states keeps, and check_indexes. */
void check_states_clear(struct check_database *c);
void check_indexes_clear(struct check_database *c);

#endif
