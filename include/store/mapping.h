/* How the statements are made for one queue: its names and its SQL, from which every statement is
 * made, and what the catalog says of its tables. The texts of sql/ name both in braces; identifiers
 * and literals are quoted by libpq. */
#ifndef RS_MAPPING_H
#define RS_MAPPING_H

#include "base/parse.h"
#include "config/queue.h"

#include <stdbool.h>
#include <stddef.h>

struct pg_link;

/* A column of {released}, what the operator's own statements (`also`) are told of each row. */
struct mapping_told {
    const char *name;   /* there */
    const char *column; /* of the hold; NULL: it is 1 */
    const char *type;   /* exact, as id_type */
};
#define MAPPING_TOLD_MAX (3 + QUEUE_KEYS_MAX + QUEUE_LIST_MAX)

/* A queue, and what the catalog says of its tables: decides casts, how times are read, and which
 * ways to release there are. The texts belong to the queue and to the catalog. */
struct mapping_types {
    const struct queue *queue;
    enum id_kind id_kind;
    const char *id_cast;   /* "pg_catalog.uuid", "bigint": for $1::id_cast[] */
    bool expires_has_zone; /* timestamptz; else timestamp, read in the queue's zone, or bigint */
    bool dated;            /* the reservations have a column updated_at */
    bool updated_has_zone; /* ... as a timestamptz */
    bool bytes;            /* texts travel as bytes: the database has no encoding (SQL_ASCII) */
    bool has_total_stock;  /* else {total} stands for NULL */
    /* The exact types, quoted as in SQL, with their schemas: what {typed} holds a statement to. */
    const char *id_type, *expires_type;
    bool expires_nullable, id_nullable;
    bool rows_hidden;      /* row security of the reservations is in force for this role */
    bool counters_hidden;  /* ... of the counters */
    bool meddled;          /* triggers or rules of the shop's may change what a statement does */
    bool deferred;         /* ... when the transaction ends */
    bool counter_unique;   /* no key has two counter rows */
    bool whole_units;      /* units are integers, and the counters hold any integer */
    bool id_unique;        /* a reservation has one row */
    bool rows_divided;     /* the reservations lie in several tables, where ctid repeats */
    bool counters_divided; /* ... the counters */
    const char *key_types[QUEUE_KEYS_MAX]; /* of the counters' key columns, as SQL writes them */
    struct mapping_told told[MAPPING_TOLD_MAX];
    int n_told;
};

/* Texts travel as the bytes that they are in the database. */
void mapping_use_bytes(struct mapping_types *types);

/* Waits for the release lock, an advisory lock of the transaction by which the releases of several
 * sweepers get at the counters one after the other: {release_lock} in a statement. The key is
 * "rsws" in ASCII: an API will hardly use it. */
#define MAPPING_RELEASE_LOCK "pg_catalog.pg_advisory_xact_lock(1920169843)"

/* Whether a bulk release can tell that it did what it should (sql/release_bulk.sql), for a queue of
 * the shape that it is made for: counters with a key of one column, free and held; whole units;
 * times that are times; rows that stay, with what it reads of them; no statements of the
 * operator's. */
bool mapping_allows_bulk(const struct mapping_types *types);

/* Whether a release may go by the places of rows (sql/release_backlog.sql): where
 * mapping_allows_lean, since what it does not see it cannot judge, and a place is one of a single
 * table. */
bool mapping_allows_backlog(const struct mapping_types *types);

/* Whether something of the shop's runs in a release behind its statement, and may change what that
 * changed: triggers, rules, `also`. Then it is looked at once more (sql/release_check.sql). */
bool mapping_looks_again(const struct mapping_types *types);

/* Whether nothing stands between an UPDATE of the two tables and the rows that it means: then the
 * release can do with its lean form (sql/release.sql). */
bool mapping_allows_lean(const struct mapping_types *types);

/* A table's name as SQL writes it, quoted, with its schema if one was given; malloc'd. NULL when
 * the link is down or memory ran out. */
char *mapping_table(const struct queue_table *table, struct pg_link *link);

/* The forms of a statement: facts, as those of the tables, by which its parts are chosen. */
#define MAPPING_LEAN 1U      /* lean: a release that does not say what went wrong */
#define MAPPING_WAITING 2U   /* waiting: for counters that somebody else has locked */
#define MAPPING_NEXT_PAGE 4U /* next_page: not the first one */
#define MAPPING_RELEASE 8U   /* a release: of counters it knows nothing where a function makes it */
#define MAPPING_ONE_KEY 16U  /* one_key: of a single counter, not of a page */

/* Makes a statement from one of the texts of sql/. form: some of the above, or 0. malloc'd; NULL
 * when the link is down or memory ran out. What is for one shape of queue alone is asked for only
 * there: a key where there are counters, one way's statement where it is allowed. An unknown name
 * in a text is a programming error (assert). */
char *mapping_render(const char *text, const struct mapping_types *types, unsigned form,
                     struct pg_link *link);

#endif
