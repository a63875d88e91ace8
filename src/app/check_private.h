/* What the files of --check-config share. Each looks at one thing, says a line for whatever it
 * finds, and reports its part done. */
#ifndef RS_CHECK_PRIVATE_H
#define RS_CHECK_PRIVATE_H

#include "context.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_link;
struct timer;

/* What both servers have for the connection, and each question then. */
#define CHECK_LIMIT_US (INT64_C(5) * 1000 * 1000)

enum check_part {
    CHECK_REDIS,
    CHECK_POSTGRES,
    CHECK_PARTS,
};

struct check {
    struct context context;
    const struct config *config;
    struct pg_link *link;
    struct timer *limit; /* when what has not answered by then has failed */
    struct timer *end;
    bool asked; /* Postgres is connected, and was asked */
    bool done[CHECK_PARTS];
    char failure[512]; /* the last FAIL; "": none */
};

/* One line on stdout: a thing that is as it should be; advice; what keeps the sweeper from its
 * work, with what to do. The last failure becomes the ERROR record at the end. */
void check_ok(const char *format, ...) __attribute__((format(printf, 1, 2)));
void check_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void check_fail(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Nothing more comes from this part; when all are done, the check ends on a later turn. */
void check_done(struct check *c, enum check_part part);

/* The Redis link is up: looks at the server, and asks it for all that the sweeper asks. Called
 * again after a connection that was lost meanwhile. */
void check_redis_begin(struct check *c);

/* The Postgres link is up: looks at the database. Called once. */
void check_postgres_begin(struct check *c);

#endif
