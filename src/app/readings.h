/* The readings of the queues file after the start. The settings of a queue that is served belong to
 * the reading that brought them, and so do those that a database was first named by. */
#ifndef RS_READINGS_H
#define RS_READINGS_H

#include <stddef.h>

struct config;
struct queue_runs;
struct reading;
struct servers;

struct readings {
    struct reading *latest; /* NULL: none; the others follow it */
};

/* Reads the file anew; config: as at the start, which must outlive it. Returns 0, or -1 with one
 * sentence. */
int readings_add(struct readings *r, const struct config *config, char *error, size_t size)
    __attribute__((warn_unused_result));

/* What was read last; there must be a reading. */
const struct config *readings_latest(const struct readings *r);

/* Frees those that none of these queues and databases have their settings from. */
void readings_free_unused(struct readings *r, const struct queue_runs *queues,
                          const struct servers *servers);

/* Frees all. */
void readings_clear(struct readings *r);

#endif
