/* How far a mode that ends by itself has come: a line on stderr, where that is a terminal, drawn
 * anew four times a second whatever the work waits for, as wide as the terminal is then. In a pipe
 * or a file, and between records of JSON, there is nothing of it. */
#ifndef RS_PROGRESS_H
#define RS_PROGRESS_H

#include <stdbool.h>

struct bar;
struct loop;
struct progress;

/* Whether stderr is such a terminal, whose records are text. */
bool progress_wanted(void);

/* read(arg, bar) fills in a zeroed bar, but for began_us. NULL: it is not wanted, or memory ran
 * out; the work is the same without. */
struct progress *progress_new(struct loop *loop, void (*read)(void *arg, struct bar *bar),
                              void *arg);

/* Clears the line. NULL is legal. */
void progress_free(struct progress *p);

#endif
