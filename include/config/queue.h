/* One queue: whose holds are released, and how, as the queues file says it, or as it is built in
 * (docs/CONFIGURATION.md). What is here has been read, not proved: names may not exist, SQL may
 * be wrong. The file's reader (queue_read.c) alone fills it; everything else reads.
 *
 * A text that was not given, and has no default, is NULL. `line` is where it stands in the file,
 * from 1; 0 for what is built in or a default. */
#ifndef RS_QUEUE_H
#define RS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUES_MAX 256 /* of a file */
#define QUEUE_NAME_MAX 40
#define QUEUE_KEYS_MAX 8
#define QUEUE_LIST_MAX 32 /* of carry, of also, of verify */

#define QUEUE_SHARERS_MAX 16

struct queue;

struct queue_text {
    char *text;
    int line;
};

struct queue_table {
    char *schema;  /* NULL: wherever the search path finds it */
    char *name;    /* NULL: no such table was given */
    char *written; /* as it stands in the file, for sentences */
    int line;
};

/* A column of the hold, and the column of the counter that has the same value. */
struct queue_key {
    struct queue_text hold, counter;
};

enum queue_expires_unit { QUEUE_EXPIRES_TIME, QUEUE_EXPIRES_MS, QUEUE_EXPIRES_S };

/* The counters. table.name NULL: there are none, and nothing else is set. */
struct queue_stock {
    struct queue_table table;
    struct queue_key keys[QUEUE_KEYS_MAX]; /* in the file's order */
    int nkeys;                             /* 1 at least */
    struct queue_text free, held, total;   /* columns, each optional */
    struct queue_text set;                 /* SQL assignments, optional */
    struct queue_text counted;             /* SQL condition; NULL: as active */
    /* Other queues of the file, served or not, whose holds the same column counts, as far as names
     * tell; they live as long as this one. */
    const struct queue *sharers[QUEUE_SHARERS_MAX];
    int nsharers;
    bool too_many; /* there are more */
    bool crossed;  /* there is one that finds the counters by other columns */
};

/* What each transaction that touches the queue's tables sets of its own: names and values in turn.
 */
#define QUEUE_SETTINGS_MAX 16
struct queue_settings {
    char *all[2 * QUEUE_SETTINGS_MAX];
    int n; /* pairs */
    int line;
};

/* What keeps a due reservation from being released. */
struct queue_keep {
    struct queue_text condition; /* keep_while, SQL; NULL: nothing does, and the rest is not used */
    int64_t look_again_us;
    int64_t extend_us;  /* its rows get an expiry so far from now; 0: they stay as they are */
    int64_t at_most_us; /* from when it was due */
    bool ends;          /* then: release; else it stays */
};

struct queue {
    char *name;       /* its prefix in Redis, its label */
    const char *file; /* as sentences call it (queue_place); NULL: built in */
    int line;
    struct queue_table table;
    struct queue_text id, expires_at;
    struct queue_text quantity;           /* NULL: each row is one unit */
    enum queue_expires_unit expires_unit; /* _TIME: not given, so the column has to be a time */
    struct queue_text time_zone;          /* of a column without a zone */
    int64_t after_us;                     /* what a row is due after its expires_at */
    struct queue_text active;             /* SQL condition */
    struct queue_text released; /* SQL assignments; NULL: rows are deleted (deletes), or call */
    bool deletes;
    struct queue_stock stock;
    struct queue_text carry[QUEUE_LIST_MAX]; /* columns */
    int ncarry;
    struct queue_text also[QUEUE_LIST_MAX]; /* SQL statements */
    int nalso;
    struct queue_text verify[QUEUE_LIST_MAX]; /* SQL queries */
    int nverify;
    struct queue_keep keep;
    struct queue_text database; /* NAME of NAME_DATABASE_URL; NULL: DATABASE_URL */
    struct queue_table call;    /* a function that makes the release; name NULL: there is none */
    struct queue_settings settings;
    struct queue_text notify; /* a channel; NULL: nobody is told */
};

#endif
