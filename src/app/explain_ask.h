/* Asks both servers why a reservation is not released (yet). */
#ifndef RS_EXPLAIN_ASK_H
#define RS_EXPLAIN_ASK_H

#include "app/explain_facts.h"

struct explain_ask;
struct parts;

struct explain_ask_options {
    struct parts *parts; /* of its queue */
    const char *id;      /* copied */
    bool daemon;         /* a sweeper asks, which knows what a first run was allowed */
    bool rehearse;       /* its release may be tried, and rolled back */
    void (*done)(void *arg, struct explain_facts *facts); /* once, on a later turn */
    void *arg;
};

/* NULL: out of memory. */
struct explain_ask *explain_ask_new(const struct explain_ask_options *options);

/* Ends it: done is not called any more, and the facts are gone. Allowed in done; NULL is legal. */
void explain_ask_free(struct explain_ask *a);

#endif
