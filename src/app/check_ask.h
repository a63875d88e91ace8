/* The check of the database, as each of its steps sees it: question after question over one link,
 * each in a read-only transaction of its own that waits for no lock for long. A step asks, says
 * what it finds in the answers (check_report.h), and goes on to the next one or ends the part. */
#ifndef RS_CHECK_ASK_H
#define RS_CHECK_ASK_H

#include "app/check_report.h"
#include "link/pg_link.h"
#include "store/questions.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check_database;
/* A statement of `also` is planned as if nothing had been released. */
#define CHECK_NOTHING_RELEASED PG_SET("reservation_sweeper.holds", "'{}'")

struct check_plans;
struct check_rule;
struct config;
struct context;
struct pg_answer;
struct pg_link;
struct pg_result;
struct queue;

/* Gets the result of a question, or NULL and the answer of the server that refused it. */
typedef void check_answer_cb(struct check_database *c, const struct pg_result *r,
                             const struct pg_answer *answer);

/* Begins one step, which ends in check_next or in check_end. */
typedef void check_step(struct check_database *c);

struct check_database {
    struct context *context;
    const struct config *config;
    const struct queue *queue;
    struct check_report *report;
    struct pg_link *link;
    check_step *const *steps; /* in their order; ends with NULL */
    int step;                 /* the next one */
    int which;                /* of a step with many questions, the one under way */
    check_answer_cb *answered;
    char *tables[2];          /* quoted as in SQL: holds, counters (NULL: there are none) */
    char role[64];            /* who we are to the database */
    char refusals[8][6];      /* SQLSTATEs that were said already */
    char time_zone[64];       /* the session's */
    enum pg_session session;  /* as of struct pg_link */
    char commit[16];          /* its synchronous_commit; "": not known */
    bool clean;               /* nothing was refused since the statements were looked at */
    bool stock_is_view;       /* the counters are no table: no index can be advised */
    bool filled[2];           /* the table has pages, so probably rows */
    struct check_rule *rules; /* check_states.c's own */
    int nrules;
    char columns[200];         /* those that `active` names, when it is true of no row */
    struct check_plans *plans; /* check_indexes.c's own */
};

/* On to the next step; after the last one the part is done. */
void check_next(struct check_database *c);

/* Ends the part here: what would follow makes no sense. */
void check_end(struct check_database *c);

/* Says that the server does not answer, and why; ends the part. */
void check_lost(struct check_database *c, const char *reason);

/* Asks one question; parameters are copied. `answered` is called on a later turn. A connection that
 * is lost and a lock that lasts are said here, and end the part: then it is not called. sql NULL:
 * as if the connection was lost. */
void check_ask(struct check_database *c, const char *sql, int nparams, const char *const *params,
               check_answer_cb *answered);

/* The same for a question that is a template. */
void check_ask_template(struct check_database *c, enum question_id which,
                        check_answer_cb *answered);

/* The same for one that explains, where tables are read whole only when there is no other way. */
void check_ask_plan(struct check_database *c, enum question_id which, check_answer_cb *answered);

/* The table number i as it is written, for sentences: 0 the holds', 1 the counters'. */
const char *check_table(const struct check_database *c, int i);

/* "variant_id, warehouse_id": the columns of a counter's key. Returns out. */
const char *check_key(const struct check_database *c, char *out, size_t size);

/* The table number i, a column, the columns of a counter's key, as SQL takes them: in quotes where
 * they need those. For statements that are to be pasted. Return out. */
const char *check_sql_table(const struct check_database *c, int i, char *out, size_t size);
const char *check_sql_name(const struct check_database *c, const char *name, char *out,
                           size_t size);
const char *check_sql_key(const struct check_database *c, char *out, size_t size);

/* SQL of the file on one line, for sentences. Returns out. */
const char *check_sql(const char *sql, char *out, size_t size);

/* What keeps the queue from being served in this database, as check_fail, with the line of the file
 * that it is about before it; 0: of what is built in. */
void check_wrong(struct check_database *c, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
