/* What is written to a terminal: foreign text, colours, and how wide it is. */
#ifndef RS_TERMINAL_H
#define RS_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

/* Control characters, those of UTF-8 too, become question marks: a terminal must not obey what a
 * database says. */
void terminal_disarm(char *text);

/* Whether what is written there may have colours: it is a terminal that knows them (TERM is set,
 * and not "dumb"), and NO_COLOR is unset or empty. */
bool terminal_colours(FILE *out);

/* Whether a line there can be written over: it is a terminal whose TERM is set, and not "dumb". */
bool terminal_moves(FILE *out);

/* How many columns it has; 80 where nobody says. */
int terminal_columns(FILE *out);

/* Begin and end what stands out, where terminal_colours. */
#define TERMINAL_BOLD "\033[1m"
#define TERMINAL_RED "\033[31m"
#define TERMINAL_YELLOW "\033[33m"
#define TERMINAL_GREEN "\033[32m"
#define TERMINAL_PLAIN "\033[0m"

#endif
