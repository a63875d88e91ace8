/* Foreign text on a terminal, which must not obey what a database says. */
#ifndef RS_TERMINAL_H
#define RS_TERMINAL_H

/* Control characters, those of UTF-8 too, become question marks. */
void terminal_disarm(char *text);

#endif
