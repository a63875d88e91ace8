/* How far --once has come with a queue, on a terminal. How much is due is counted over a connection
 * of its own, beside the releases, which do not wait for it. */
#ifndef RS_ONCE_PROGRESS_H
#define RS_ONCE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct context;
struct drain;
struct item;
struct once_progress;

/* queue: its name, where there are several, else NULL; both must outlive it. NULL: it is not
 * wanted, or memory ran out. */
struct once_progress *once_progress_new(struct context *context, const char *queue);

/* Frees it, and clears the line. Not inside its connection's callback; NULL is legal. */
void once_progress_free(struct once_progress *p);

/* Releases begin, the statements being ready. */
void once_progress_begin(struct once_progress *p, const struct drain *drain);

/* Releases are over: the line goes. */
void once_progress_end(struct once_progress *p);

/* A drain's on_item; arg: the progress. */
void once_progress_item(void *arg, const struct item *item, bool last);

#endif
