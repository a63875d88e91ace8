/* The feeder's role: the one sweeper that mirrors, of all that share a due queue. A key in Redis
 * with an end (role.lua), renewed with each regular poll; when its holder dies, it falls free. */
#ifndef RS_FEEDER_H
#define RS_FEEDER_H

#include "base/callback.h"

#include <stdbool.h>
#include <stdint.h>

struct feeder;
struct parts;

struct feeder_options {
    int64_t interval_us; /* between regular polls: the role outlives that by a quarter */

    /* Redis has answered feeder_ask: the role is ours, or somebody else's; error: it is not known.
     */
    void (*on_role)(void *arg, bool ours, const char *error);
    /* The role has been given back, or, with an error (in the log), is left to its end. */
    event_cb *on_resigned;
    void *arg;
};

/* NULL: out of memory. */
struct feeder *feeder_new(struct parts *parts, const struct feeder_options *options);
void feeder_free(struct feeder *r); /* its queue must have been closed before; NULL is legal */

/* Takes the role, or keeps it. on_role fires once, inside this call when nothing could be sent. */
void feeder_ask(struct feeder *r);

/* Gives it back. on_resigned fires once, inside this call when nothing could be sent. */
void feeder_resign(struct feeder *r);

#endif
