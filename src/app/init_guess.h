/* What --init takes a table for, from what the catalog says of it (sql/init_tables.sql). Pure: it
 * looks at names, types and keys alone. */
#ifndef RS_INIT_GUESS_H
#define RS_INIT_GUESS_H

#include <jansson.h>
#include <stdbool.h>

#define INIT_LIKE_MAX 16

/* The columns that might be one thing, in the table's order. Exactly one: it is that. */
struct init_like {
    json_t *columns[INIT_LIKE_MAX];
    int n; /* at most INIT_LIKE_MAX: what is beyond is not looked at */
};

/* A table of counters that the holds lead to. */
struct init_counter {
    const json_t *table; /* its document; NULL: there is none */
    struct init_like free, held, total;
    struct init_like stock; /* neither, but numbers that may be what is free */
    const json_t *updated;  /* NULL: none that can be set to now() safely */
    bool sum;               /* the database holds the one of `total` to the sum of the two others */
};

struct init_guess {
    const json_t *table;
    int score; /* how much of a hold it looks like; 0: it is none */
    struct init_like id, expires, status, units;
    struct init_like numbers; /* that might be units, by their type alone */
    struct init_like orders;  /* that several rows may belong to */
    struct init_like facts;   /* that may say what has happened, where there is no status */
    const json_t *updated;
    int ncounters;               /* that it leads to, and that the reader can name */
    struct init_counter counter; /* the first of them */
};

/* Good as long as the document, which is borrowed. */
struct init_guess init_guess(const json_t *table);

/* The same of one table of counters. */
struct init_counter init_guess_counter(const json_t *counter);

/* Whether a table of counters has a name, and keys, that a queues file can hold. */
bool init_can_be_named(const json_t *table);

/* A member that is a text, or "". */
const char *init_text(const json_t *of, const char *key);

/* Of a status's values, the one that sounds so: NULL when none does, or several do. */
const char *init_value_like(const json_t *values, int sound);

/* "ms", "s", or NULL when it cannot be told: the unit of times that are numbers. */
const char *init_unit_of(const json_t *values);

#endif
