/* What Redis says when it refuses, as an operator can read it. */
#ifndef RS_REDIS_REFUSAL_H
#define RS_REDIS_REFUSAL_H

#include "link/redis_link.h"

#include <stdbool.h>
#include <stddef.h>

/* An error of Redis's, and what it was the answer to. */
struct due_refusal {
    const struct lua_script *script; /* NULL: a command */
    const char *command;
    const char *prefix; /* of the keys */
    const char *error;
};

/* One sentence into out, cut at its size: the command that was refused, where, and Redis's own
 * words, as each of its versions says them. Any text may be refusal->error. */
void due_refusal_text(char *out, size_t size, const struct due_refusal *refusal);

/* True of such a sentence when a Cluster is between two states: a slot moves, a master is missing.
 * It may be over at any moment. */
bool due_refusal_passing(const char *text);

#endif
