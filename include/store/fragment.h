/* The proof by Postgres that each piece of the operator's SQL is what it claims to be, and fits the
 * tables. Each is asked as a statement that is parsed and not executed (struct pg_query,
 * parse_only): nothing is read or changed by it. */
#ifndef RS_FRAGMENT_H
#define RS_FRAGMENT_H

#include "config/queue.h"

#include <stdbool.h>
#include <stddef.h>

struct mapping_types;
struct pg_link;

/* How a piece is wrapped. */
enum fragment_wrap {
    FRAGMENT_ELEMENT,   /* of an array: an expression, or several */
    FRAGMENT_CONDITION, /* in brackets: an expression, true or false; together with the former, one
                         */
    FRAGMENT_RELEASED,  /* assignments to the hold's columns, before others of those kept */
    FRAGMENT_STOCK_SET, /* ... to the counter's */
    FRAGMENT_ALSO,      /* a statement */
    FRAGMENT_CALL,      /* a function's name */
    FRAGMENT_QUERY,     /* one by itself: one, or several */
    FRAGMENT_VERIFY,    /* within another, as it is sent: a query that only reads; together with the
                           former, one */
};

struct fragment {
    const struct queue *queue;     /* whose it is: the one that is proved, or one that shares its
                                      counters, whose holds it counts too */
    const struct queue_text *text; /* that queue's; NULL: a name */
    const char *key;               /* "active" */
    enum fragment_wrap wrap;
    int number; /* of `also` and `verify`, from 1; else 0 */
    int line;
};

#define FRAGMENTS_MAX (8 + QUEUE_LIST_MAX + 2 * QUEUE_SHARERS_MAX + 2 * QUEUE_LIST_MAX)

/* Lists what is to be proved of a queue; returns how many. What is built in needs no proof: 0. */
int fragment_list(const struct queue *queue, struct fragment list[FRAGMENTS_MAX]);

/* The statement that proves one; malloc'd. NULL: memory ran out, or the link is down. */
char *fragment_proof(const struct fragment *fragment, const struct mapping_types *types,
                     struct pg_link *link) __attribute__((warn_unused_result));

/* The sentence for one that Postgres refuses with this message: file, line and key before it. */
void fragment_refusal(const struct fragment *fragment, const char *message, char *out, size_t size);

/* What a sentence about a statement of `also` begins with, from 0: "shop.yaml:12: also (2nd): ". */
void fragment_also_place(const struct queue *queue, int i, char *out, size_t size);

/* ... about a query of `verify`. */
void fragment_verify_place(const struct queue *queue, int i, char *out, size_t size);
/* ... about the call of a function: "shop.yaml:12: call: ". */
void fragment_call_place(const struct queue *queue, char *out, size_t size);

/* Proves all of them through a link that is up and not busy. done(arg, error, locked): NULL, or one
 * sentence; locked: it is about a table that somebody holds locked, and of the SQL nothing is
 * known. Fires once, never from inside this call. types must outlive it. Returns 0, or -1 when
 * nothing was sent. */
int fragment_prove(const struct mapping_types *types, struct pg_link *link,
                   void (*done)(void *arg, const char *error, bool locked), void *arg)
    __attribute__((warn_unused_result));

#endif
