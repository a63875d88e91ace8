/* The draft that --init prints. */
#ifndef RS_INIT_DRAFT_H
#define RS_INIT_DRAFT_H

#include <stdio.h>

struct init_guess;

/* A queue's name has at most so many bytes, with its end. */
#define INIT_NAME_BYTES 41

/* Writes what stands above all queues. where: the database, for people. */
void init_draft_head(FILE *out, const char *where);

/* Writes one queue, under this name. */
void init_draft_queue(FILE *out, const struct init_guess *g, const char *name);

/* The name of a table's queue, of letters, digits, - and _. */
void init_draft_name(const struct init_guess *g, char name[INIT_NAME_BYTES]);

#endif
