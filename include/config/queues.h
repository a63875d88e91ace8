/* The queues that are served: those of the file, or the one that is built in. Each has a struct
 * config of its own, in which all is as it holds for that queue: what the file overrides, its key
 * prefix, its database, and `queue`, the queue as it was read. */
#ifndef RS_QUEUES_H
#define RS_QUEUES_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct queue;

/* How many there are, 1 at least; with --queue NAME that one alone, except for --explain, which
 * looks for an id in the others too. config: what config_read filled, or any queue's. */
int config_queues(const struct config *config);

/* The settings of a queue, from 0, in the file's order. Good until config_clear. */
const struct config *config_queue(const struct config *config, int i);

/* Reads the file anew (SIGHUP), by all other settings as they were at the start, into *fresh: a
 * struct config for config_queues and config_queue, which borrows from `config` and must end before
 * it. Returns 0, or -1 with one sentence in `error`; *fresh is to be cleared in both cases, by
 * config_reload_clear alone. */
int config_reload(struct config *fresh, const struct config *config, char *error, size_t error_size)
    __attribute__((warn_unused_result));
void config_reload_clear(struct config *fresh);

/* Whether two queues, whose settings these are, are the same but for the lines where they stand:
 * by what their file says of the others, too, where that counts for them (stock.sharers). */
bool config_queue_same(const struct config *a, const struct config *b);

/* In what they are not, by keys of the file: static storage. Returns how many. */
#define QUEUE_DIFFERENCES_MAX 60
int config_queue_differences(const struct config *a, const struct config *b,
                             const char *keys[QUEUE_DIFFERENCES_MAX]);

/* What a sentence about a line of the file begins with: "shop.yaml:12: ". "" for what is built in
 * and for a line of 0. */
void queue_place(const struct queue *queue, int line, char *out, size_t size);

#endif
