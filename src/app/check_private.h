/* What the files of --check-config share. Each looks at one thing, says a line for whatever it
 * finds, and reports its part done. */
#ifndef RS_CHECK_PRIVATE_H
#define RS_CHECK_PRIVATE_H

#include "app/context.h"
#include "base/time_units.h"
#include "store/questions.h"

#include <stdbool.h>
#include <stdint.h>

struct check;
struct http_client;
struct pg_answer;
struct pg_link;
struct pg_result;
struct timer;

/* What both servers have for the connection. */
#define CHECK_CONNECT_US (5 * SECOND_US)

enum check_part {
    CHECK_HTTP,
    CHECK_REDIS,
    CHECK_POSTGRES,
    CHECK_PARTS,
};

/* What a row must satisfy to become released (sql/check_states.sql). */
struct check_rule {
    char *kind, *name, *says;
    char *question; /* how many rows were looked at, how many of them it refuses */
};

/* The check of the database: one question after the other. */
struct check_postgres {
    struct pg_link *link;
    bool asked; /* connected, and the questions have begun */
    int step;
    int which; /* of a step with many questions, the one under way */
    /* Gets the answer of the question under way, see check_ask. */
    void (*answered)(struct check *c, const struct pg_result *r, const struct pg_answer *answer);
    char *tables[2];     /* quoted as in SQL: reservations, counters */
    char role[64];       /* who we are to the database */
    char refusals[8][6]; /* SQLSTATEs that were said already */
    char time_zone[64];  /* the session's */
    struct check_rule *rules;
    int nrules;
    bool clean;         /* nothing was refused since the statements were looked at */
    bool stock_is_view; /* the counters are no table: no index can be advised */
    bool filled[2];     /* the table has pages, so probably rows */
    int64_t ndue;
};

struct check {
    struct context context;
    const struct config *config;
    struct timer *limit; /* when a server that is not connected by then has failed */
    struct timer *end;
    struct check_postgres pg;
    struct http_client *neighbour; /* asks who has our HTTP address */
    bool done[CHECK_PARTS];
    int failures;
    char failure[512]; /* the first FAIL; "": none */
};

/* One line on stdout: a thing that is as it should be; advice; what keeps the sweeper from its
 * work, with what to do. The first failure becomes the ERROR record at the end. */
void check_ok(const char *format, ...) __attribute__((format(printf, 1, 2)));
void check_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void check_fail(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Nothing more comes from this part; when all are done, the check ends on a later turn. */
void check_done(struct check *c, enum check_part part);

/* check_http.c: can the daemon listen at its address? */
void check_http_begin(struct check *c);

/* check_redis.c: the Redis link is up: looks at the server, and asks it for all that the sweeper
 * asks. Called again after a connection that was lost meanwhile. */
void check_redis_begin(struct check *c);

/* check_postgres.c: the Postgres link is up. Called once. */
void check_postgres_begin(struct check *c);
void check_postgres_clear(struct check *c);

/* Asks one question in a read-only transaction of its own; parameters are copied. `answered` is
 * called on a later turn with the result, or with NULL and the answer of the server that refused
 * it. A connection that is lost and a lock that lasts are said here, and end the part: then it is
 * not called.
 */
void check_ask(struct check *c, const char *sql, int nparams, const char *const *params,
               void (*answered)(struct check *c, const struct pg_result *r,
                                const struct pg_answer *answer));

/* The same for a template (mapping.h), with tables and columns filled in. */
void check_ask_template(struct check *c, enum question_id which,
                        void (*answered)(struct check *c, const struct pg_result *r,
                                         const struct pg_answer *answer));

/* Says what a refusal means and what to do about it: `what` is what was refused, a noun. One of
 * each SQLSTATE is enough; what only took too long is a note. */
void check_refused(struct check *c, const char *what, const struct pg_answer *answer);

/* Notes that the check itself could not find something out. */
void check_unknown(const char *what, const struct pg_answer *answer);

/* On to the next step, or the end of this part. */
void check_postgres_next(struct check *c);

/* The steps; each ends in check_postgres_next, or ends the part. */
void check_server(struct check *c);     /* check_catalog.c: roles, connections, encodings */
void check_tables(struct check *c);     /* ... the two tables, as the catalog has them */
void check_guards(struct check *c);     /* ... policies, triggers and rules */
void check_seen(struct check *c);       /* ... what row security lets the role see */
void check_statements(struct check *c); /* check_statements.c: each statement, by EXPLAIN */
void check_states(struct check *c);     /* check_states.c: whether a row may become released */
void check_states_clear(struct check *c);
void check_rows(struct check *c);    /* check_rows.c: what is in the tables */
void check_doubled(struct check *c); /* ... two counters of a product */
void check_due(struct check *c);     /* ... what is due now, and since when */
void check_indexes(struct check *c); /* check_indexes.c */

#endif
