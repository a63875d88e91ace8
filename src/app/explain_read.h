/* Answers of the servers, as facts (explain_facts.h). None is trusted to be well-formed. */
#ifndef RS_EXPLAIN_READ_H
#define RS_EXPLAIN_READ_H

#include "app/explain_facts.h"
#include "base/parse.h"

#include <stddef.h>

struct due_state;
struct pg_result;

/* What Redis has of it. */
void explain_read_redis(struct explain_facts *f, const struct due_state *state);

/* Of sql/lookup.sql and sql/explain_holds.sql. -1: not as they should be. */
int explain_read_holds(struct explain_facts *f, const struct pg_result *lookup,
                       const struct pg_result *holds) __attribute__((warn_unused_result));

/* Of sql/explain_counters.sql, and sql/explain_sums.sql behind it. */
void explain_read_counters(struct explain_facts *f, const struct pg_result *r);
void explain_read_sums(struct explain_facts *f, const struct pg_result *r);

/* Of sql/blockers.sql: one row; and of sql/table_locks.sql, or of
 * sql/table_blocker.sql. */
#define EXPLAIN_BLOCKER_COLUMNS 8
void explain_read_blocker(struct explain_blocker *b, const struct pg_result *r, int row);
void explain_read_blockers(struct explain_facts *f, const struct pg_result *r);
void explain_read_table_locks(struct explain_facts *f, const struct pg_result *r);

/* Of sql/standby_wait.sql. */
void explain_read_standby(struct explain_facts *f, const struct pg_result *r);

/* Whether it is a sweeper's own session, as its application says: it releases, and stands in
 * nobody's way. */
bool explain_is_sweeper(const struct explain_blocker *b);

/* Of sql/feeds.sql: whether a sweeper runs. */
void explain_read_feeds(struct explain_facts *f, const struct pg_result *r);

/* Of sql/check_guards.sql: what of the shop's own runs with a release. */
void explain_read_guards(struct explain_facts *f, const struct pg_result *r);

/* The names in a piece of SQL that may be columns, as an array in text form; malloc'd, NULL: out of
 * memory. */
char *explain_names(const char *sql) __attribute__((warn_unused_result));

/* What an id of this kind is, in words: "of type uuid". */
const char *explain_id_kind(enum id_kind kind);

/* The one element of an array in text form; malloc'd, NULL: out of memory. */
char *explain_array(const char *text) __attribute__((warn_unused_result));

#endif
