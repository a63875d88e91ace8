/* What the database says of the tables and columns that are used (sql/catalog.sql): read, judged,
 * and compared with what it said before. */
#ifndef RS_CATALOG_H
#define RS_CATALOG_H

#include "store/mapping.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_link;
struct pg_result;

/* Most columns that a queue uses: its id, expiry, quantity and updated_at, keys of both tables,
 * carry, three counters, and what it sets (CATALOG_SET_MAX) of each table. */
#define CATALOG_SET_MAX 24
#define CATALOG_COLUMNS_MAX (8 + 2 * QUEUE_KEYS_MAX + QUEUE_LIST_MAX + 2 * CATALOG_SET_MAX)

/* A name of 63 bytes, quoted, with its schema. */
#define CATALOG_TYPE_MAX 264

/* What a column is to the queue. */
enum catalog_use {
    CATALOG_ID,
    CATALOG_KEY,
    CATALOG_QUANTITY,
    CATALOG_EXPIRES,
    CATALOG_CARRY,
    CATALOG_SET,     /* by `released` */
    CATALOG_UPDATED, /* updated_at, if there is one */
    CATALOG_COUNTER_KEY,
    CATALOG_FREE,
    CATALOG_HELD,
    CATALOG_STOCK_SET, /* by `stock.set` */
    CATALOG_TOTAL,
};

/* A column that is asked for. */
struct catalog_name {
    enum catalog_use use;
    char name[64];
    int line; /* where the queue names it */
};

struct catalog_column {
    bool found;               /* the table is there */
    bool exists;              /* ... and the column */
    bool readable, writable;  /* by this role */
    bool lockable, deletable; /* of the table: any column may be updated, rows may be deleted */
    bool nullable, unique;
    bool key_unique;              /* of the table: no two rows have one key of a counter */
    bool generated;               /* its value cannot be set */
    bool taken;                   /* the table has a column that begins with rs$ */
    bool row_security;            /* of the table: see sql/catalog.sql */
    bool meddled, deferred;       /* ... */
    bool divided;                 /* ... */
    char relkind;                 /* of the table */
    char kind[CATALOG_TYPE_MAX];  /* "timestamptz", "public.mood"; of a domain its base */
    char type[CATALOG_TYPE_MAX];  /* "timestamp(3) with time zone" */
    char exact[CATALOG_TYPE_MAX]; /* "pg_catalog.timestamptz" */
    int64_t relation;             /* the table's oid */
};

struct catalog {
    const struct queue *queue;
    int n; /* columns in use, those of the reservations first */
    struct catalog_name names[CATALOG_COLUMNS_MAX];
    struct catalog_column columns[CATALOG_COLUMNS_MAX];
    bool bytes; /* the database's encoding is SQL_ASCII: texts are bytes */
};

/* Lists the columns of a queue that are asked for. Returns 0, or -1: out of memory. */
int catalog_list(struct catalog *c, const struct queue *queue) __attribute__((warn_unused_result));

/* Whether it is a column of the counters; the table of column number i. */
bool catalog_of_counters(const struct catalog_name *name);
const struct queue_table *catalog_table(const struct catalog *c, int i);

/* The parameters of sql/catalog.sql for them, malloc'd arrays in text form: tables (quoted through
 * link) or columns. NULL when the link is down or memory ran out. */
char *catalog_names(const struct catalog *c, struct pg_link *link, bool tables);

/* ... and the columns of a counter's key. NULL: memory ran out. */
char *catalog_key(const struct catalog *c);

/* Reads the answer into what catalog_list has filled; -1: it is none. */
int catalog_read(struct catalog *c, const struct pg_result *r) __attribute__((warn_unused_result));

/* Postgres's clock, of an answer that could be read. */
int64_t catalog_clock_us(const struct pg_result *r);

/* What statements have to be made for. -1 with one sentence in error when the tables cannot be used
 * as they are. types refers to c and its queue, which must outlive it. */
int catalog_types(const struct catalog *c, struct mapping_types *types, char *error, size_t size)
    __attribute__((warn_unused_result));

/* Whether anything that is used differs. Each difference is one WARN record: the column with its
 * old and its new type, or the table that has been replaced. */
bool catalog_changed(const struct catalog *before, const struct catalog *now);

#endif
