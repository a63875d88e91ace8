/* What is made from the tables of settings, modes and modifiers beside --help and
 * docs/CONFIGURATION.md (config.h): tools/documents.c prints it. */
#ifndef RS_GENERATED_H
#define RS_GENERATED_H

#include <stdio.h>

/* What bash and zsh complete the command line with. */
void config_print_bash(FILE *out);
void config_print_zsh(FILE *out);

/* Copies the manual page, making anew what stands between a line `.\" {what}` and `.\" {}`: {mode
 * --flag} and {modifier --flag} are its entry's first sentences, {settings} the list of all,
 * {statuses} the exit statuses. Returns 0, or -1 with one sentence in `error`: a mode or a modifier
 * of the tables that the page has not, or has twice, or a mark that is none. */
int config_print_manual(FILE *out, FILE *page, char *error, size_t error_size)
    __attribute__((warn_unused_result));

#endif
