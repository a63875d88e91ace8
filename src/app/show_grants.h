/* The grants that --show-sql prints, as statements. */
#ifndef RS_SHOW_GRANTS_H
#define RS_SHOW_GRANTS_H

struct pg_link;
struct pg_result;
struct queue;

/* Those for a queue's own tables, of which names says what it does (sql/show_names.sql); tables: as
 * SQL writes them, where there are none. */
void show_grants(const struct queue *queue, char *const tables[2], const struct pg_result *names,
                 struct pg_link *link);

/* Those for what a plan (EXPLAIN VERBOSE) reads and changes. Of a table in parts it names the
 * parts. */
void show_grants_of_plan(const struct pg_result *plan, const char *role);

#endif
