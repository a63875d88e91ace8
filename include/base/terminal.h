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

/* One line on stderr's terminal (terminal_moves), which is written over when it is shown again, and
 * gone when it is cleared. Records of the log clear it, so that they begin a line. A terminal that
 * takes nothing at present is left as it is: nobody waits for it. text: without control characters,
 * narrower than the terminal. By one thread. */
void terminal_line_show(const char *text);
void terminal_line_clear(void);

/* Begin and end what stands out, where terminal_colours. */
#define TERMINAL_BOLD "\033[1m"
#define TERMINAL_RED "\033[31m"
#define TERMINAL_YELLOW "\033[33m"
#define TERMINAL_GREEN "\033[32m"
#define TERMINAL_PLAIN "\033[0m"

#endif
