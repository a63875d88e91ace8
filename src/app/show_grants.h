/* The grants that --show-sql prints, as statements: of a queue's own tables. */
#ifndef RS_SHOW_GRANTS_H
#define RS_SHOW_GRANTS_H

struct pg_link;
struct pg_result;
struct plan_grants;
struct queue;

/* Prints those for a queue's own tables, of which names says what it does (sql/show_names.sql), and
 * notes them in *given; tables: as SQL writes them, where there are none. -1: memory ran out. */
int show_grants(const struct queue *queue, char *const tables[2], const struct pg_result *names,
                struct pg_link *link, struct plan_grants *given)
    __attribute__((warn_unused_result));

#endif
