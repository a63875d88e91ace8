/* Hostile inputs made from good ones. */
#ifndef RS_VARIATION_H
#define RS_VARIATION_H

/* Calls visit with every beginning of text, and with every change of each one's last byte: C
 * strings in memory of exactly their size, so that ASan and valgrind see a byte read too many. */
void each_variation(const char *text, void (*visit)(const char *variation));

#endif
