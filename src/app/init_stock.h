/* The counters in the draft that --init prints, and how a key is written there. */
#ifndef RS_INIT_STOCK_H
#define RS_INIT_STOCK_H

#include <jansson.h>
#include <stdio.h>

struct init_guess;
struct init_like;

/* A key whose value is this column's name. */
void init_yaml_put(FILE *out, const char *indent, const char *key, const json_t *column);

/* The same as comments, for each that it might be. */
void init_put_ideas(FILE *out, const char *indent, const char *key, const struct init_like *like);

/* Writes the stock of a queue, or that there is none. */
void init_put_stock(FILE *out, const struct init_guess *g);

#endif
