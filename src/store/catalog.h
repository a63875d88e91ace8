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

#define CATALOG_COLUMNS 11

/* A name of 63 bytes, quoted, with its schema. */
#define CATALOG_TYPE_MAX 264

struct catalog_column {
    bool found;              /* the table is there */
    bool exists;             /* ... and the column */
    bool readable, writable; /* by this role */
    bool nullable, unique;
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
    struct catalog_column columns[CATALOG_COLUMNS];
    bool bytes; /* the database's encoding is SQL_ASCII: texts are bytes */
};

/* The two parameters of sql/catalog.sql, malloc'd arrays in text form: tables (quoted through
 * link) or columns. NULL when the link is down or memory ran out. */
char *catalog_names(struct pg_link *link, bool tables);

/* Reads the answer; -1: it is none. */
int catalog_read(struct catalog *c, const struct pg_result *r) __attribute__((warn_unused_result));

/* Postgres's clock, of an answer that could be read. */
int64_t catalog_clock_us(const struct pg_result *r);

/* What statements have to be made for. -1 with one sentence in error when the tables cannot be used
 * as they are. types refers to c, which must outlive it. */
int catalog_types(const struct catalog *c, struct mapping_types *types, char *error, size_t size)
    __attribute__((warn_unused_result));

/* Whether anything that is used differs. Each difference is one WARN record: the column with its
 * old and its new type, or the table that has been replaced. */
bool catalog_changed(const struct catalog *before, const struct catalog *now);

#endif
